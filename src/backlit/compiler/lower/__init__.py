"""From a graph to kernels: what native code knows, less of it, and which loops make which value."""
