"""Formats that are not read: what they are, and how they become one that is."""

from __future__ import annotations

from pathlib import Path

_SPREADSHEET = (
    'is a spreadsheet; save it as CSV, or: python -c "import pandas; '
    "pandas.read_excel({name!r}).to_csv({stem!r} + '.csv', index=False)\""
)
_ARCHIVE = "is an archive; unpack it, and name what is in it"
_PICKLE = "is a pickle, which could run any code; save its arrays by numpy.savez, its table as CSV"
_TABLE = "is read by pandas: save its table as CSV or Parquet (to_csv, to_parquet)"
_ONE = "is one {what}; name the folder in which those of each class have a folder"
_DOCUMENT = "is a document; save it as plain text (.txt)"

_CURES = {
    (".xlsx", ".xls", ".xlsm", ".ods"): _SPREADSHEET,
    (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst"): _ARCHIVE,
    (".pkl", ".pickle", ".joblib", ".pt", ".pth"): _PICKLE,
    (".feather", ".arrow", ".dta", ".sav", ".sas7bdat", ".rds"): _TABLE,
    (".db", ".sqlite", ".sqlite3"): "is a database; write its table as CSV: "
    'sqlite3 -header -csv {name} "select * from NAME" > {stem}.csv',
    (".mat",): "is of MATLAB; numpy.savez({stem!r}, **scipy.io.loadmat({name!r})) writes arrays "
    "that are read",
    (".svm", ".libsvm", ".svmlight"): "has sparse rows; sklearn.datasets.load_svmlight_file reads "
    "it: numpy.savez({stem!r}, x=x.toarray(), y=y)",
    (".json",): "is JSON as a whole; write one object a line (.jsonl), as pandas does: "
    "to_json(..., orient='records', lines=True)",
    (".pdf", ".docx", ".doc", ".odt", ".rtf", ".html", ".htm", ".xml"): _DOCUMENT,
    (".mp4", ".avi", ".mov", ".mkv", ".webm"): "is a film; write pictures of it into folders: "
    "ffmpeg -i {name} {stem}/%05d.png",
    (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"): _ONE.format(
        what="picture"
    ),
    (".wav", ".wave", ".mp3", ".flac", ".ogg", ".m4a"): _ONE.format(what="sound"),
}


def cure_for(path: Path) -> str | None:
    """What a file is whose format is not read, and what to do, by its ending; else None.

    >>> cure_for(Path("data.tar.gz"))
    'is an archive; unpack it, and name what is in it'
    """
    ending = path.suffix.lower()
    for endings, cure in _CURES.items():
        if ending in endings:
            return cure.format(name=path.name, stem=path.stem)
    return None
