"""A formula typed as text: its value and all its gradients, gate by gate, as a tree."""
