"""Looking at training in numbers: statistics, breakpoints, samples, curvature, memory."""
