"""Training sets: joined, read piece by piece, and made into what a trainer takes."""
