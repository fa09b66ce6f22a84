"""What is kept, what may go, and whether what is kept gives the same version again."""
