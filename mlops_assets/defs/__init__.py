"""What we run: one folder per model, and one for the raw tables that models share."""
