"""Programs in which a bad number is born: the place is right, and what is offered cures."""

from __future__ import annotations

import ast
import inspect
import linecache

import numpy as np
import pytest

from backlit import see
from backlit.see.records.expressions import plainly
from sampling import one_in
from see import bad_number_programs

PROGRAMS = bad_number_programs.PROGRAMS


def outcome(function):
    """A recording of a program, and whether its value and every gradient is finite."""
    with see.recording() as r:
        loss = function()
        loss.backward()
    gradients = [
        n.upstream.array for n in r.of_loss().leaves if n.requires_grad and n.upstream is not None
    ]
    return r, all(np.isfinite(np.asarray(a, "float64")).all() for a in (loss.numpy(), *gradients))


def written_otherwise(name, source, first, changes):
    """The program with expressions of some lines written otherwise."""
    tree, done = ast.parse(source), 0
    for line, replaces, text in changes:

        class Exchange(ast.NodeTransformer):
            def visit(self, e, line=line - first + 1, replaces=replaces, text=text):
                nonlocal done
                if isinstance(e, ast.expr) and plainly(e) == replaces and e.lineno == line:
                    done += 1
                    return ast.increment_lineno(ast.parse(text, mode="eval").body, line - 1)
                return self.generic_visit(e)

        tree = Exchange().visit(tree)
    assert done >= len(changes)
    file = f"<{name}, cured>"
    text = ast.unparse(ast.fix_missing_locations(tree))
    linecache.cache[file] = len(text), None, text.splitlines(True), file
    scope = dict(vars(bad_number_programs))
    exec(compile(text, file, "exec"), scope)
    return scope[name]


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("name", one_in(4, PROGRAMS))
def test_the_place_is_right_and_the_cure_cures(name):
    function, where, leaf = PROGRAMS[name]
    lines, first = inspect.getsourcelines(function)
    born = [first + i for i, line in enumerate(lines) if line.rstrip().endswith("# born")]
    r, fine = outcome(function)
    assert not fine
    both = see.bad_numbers(r)
    found = both.forward or both.backward
    if leaf:
        assert (found.node.kind == "op", found.node.name) == (False, leaf)
    else:
        assert (found.node.line, found.where) == (born[0], where)
    if found.rewrite:
        skipped = next(i for i, line in enumerate(lines) if line.startswith("def "))
        changes = [(found.rewrite_line, found.replaces, found.rewrite), *found.more]
        cured = written_otherwise(name, "".join(lines[skipped:]), first + skipped, changes)
        assert outcome(cured)[1], (changes, found)
    else:
        assert name in WITHOUT_A_CURE
        assert "write:" not in repr(found)


#: No way of writing the line helps: the numbers, the mask or the model are what is wrong.
WITHOUT_A_CURE = {
    *(name for name, (_, _, leaf) in PROGRAMS.items() if leaf),
    "attention_added_mask",
    "attention_all_masked",
    "cross_entropy_of_masked_label",
    "exploding_recurrence",
    "exponent_of_negative",
    "log_of_negative_data",
    "product_of_many",
    "rate_too_large",
    "reciprocal_of_float16",
}
