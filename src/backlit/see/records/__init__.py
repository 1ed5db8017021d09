"""The record of one computation: what is in it, and the ways to make one.

`model` is the record, made of `parts` (nodes, edges, module calls), each with a `value` (elements,
statistics) and at each edge a `local` gradient. It is made by `from_tape` (behind a Tensor),
`from_block` (while code runs), both with `builder`, or `from_file`; `revive` gives what comes from
a file its ops back.
"""
