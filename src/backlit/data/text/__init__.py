"""Text: read, cut into tokens, numbered, tagged, scored, and put into batches.

`reading` is files and their encodings, `conll` and `conllu` sentences in columns, `fasta` sequences
of bases, `jsonl` records in lines of JSON, `labelled` texts with their classes. `tokenizers` says
what text is cut into, `vocabulary` which number each piece has, `vectors` which vector a word
brings along. `tags` is what tags mean,
`scores` how well entities were found. `language` is what language models learn from, `sequences`
what makes sequences of different lengths a batch, `buckets` which of them come together.
"""

from ...calls import explain as _explain
from .buckets import BucketBatchSampler
from .conll import ConllDataset, Sentence, read_conll, write_conll
from .conllu import read_conllu
from .fasta import SequenceRecord, read_fasta
from .jsonl import JsonLines, read_jsonl
from .labelled import LabelledText, TextDataset, read_labelled_texts
from .language import LineDataset, TokenBlocks, read_lines, write_tokens
from .reading import read_text
from .scores import EntityCounts, EntityScores, entity_scores
from .sequences import WindowDataset, kmers, pad, pad_collate, windows
from .tags import (
    Entity,
    convert_tags,
    entities,
    flaw,
    scheme_of,
    split_tag,
    tag_constraints,
    tags_of,
)
from .tokenizers import (
    BytePairTokenizer,
    CharTokenizer,
    KmerTokenizer,
    WordTokenizer,
    load_tokenizer,
    tokenizer_from,
    word_tokenize,
)
from .vectors import WordVectors, load_vectors
from .vocabulary import Vocabulary

_explain(__name__)
