"""Looking at training in numbers: statistics, breakpoints, samples, curvature, memory.

`statistics` is `see.watch` (layers at each step), `history` a computation over the steps,
`breakpoints` stops in a backward pass, `samples`
has each sample's own gradient, `curvature` the Hessian, `saved` what the tape keeps, `operations`
how much there is to do.
"""
