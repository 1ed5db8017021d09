"""Running kernels: where buffers lie, in what order, on which threads, and a report of it."""
