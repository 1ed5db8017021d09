"""The cost model of a schedule: estimated cycles, and the sizes at which they change.

Only their proportions matter, and only where two schedules are close. A core is taken to start two
multiply-adds and two loads of vectors in each cycle.
"""

# Cycles for each element that is brought into scratch memory ...
COPY = 0.15  # ... as it lies there,
TURN = 0.4  # ... transposed in registers,
GATHER = 2.0  # ... one by one;
FAR = 0.6  # and on top for each pass over more than the last cache holds.
# Cycles for each phase that packs: its barrier, and its start.
PHASE = 2000
# Cycles for each element of the output that is stored alone, not beside the next lane's.
SCATTER = 1.5

# Cycles in the walk over k, for each k ...
MULTIPLY_ADD = LOAD = 0.5  # ... and each vector that is multiplied, or loaded,
LATENCY, WINDOWED_LATENCY = 4, 5  # ... at least: a sum waits for the one before,
OVERHEAD = 0.05  # ... and each load, in the front end;
VECTOR, WINDOWED_VECTOR = 4, 8  # a vector of B counts there as so many loads,
NEAR_L2, WINDOWED_NEAR_L2 = 3.0, 2.0  # ... and each vector of B that comes from the second cache,
BEYOND_L2 = 6.0  # ... or from behind it.

# Cycles for each tile ...
TILE = 20  # ... that begins,
STORE = 2.0  # ... and each vector of it that is stored,
SWAP = 0.5  # ... or, turned, for each vector and each halving of the lanes;
PART, WINDOWED_PART = 0.5, 1.5  # for each vector of a turned one that is not full,
CROWDED = 20.0  # and for each column whose lines are in each other's way in the first cache.

# Bytes that the last cache holds.
CACHED = 16 * 2**20
# Bytes after which cache lines share places in the first cache, and how many it holds in each.
PAGE, WAYS = 4096, 8
