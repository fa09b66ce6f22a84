"""A model is made: promised, fitted, and kept with all it takes to make it again."""
