"""A challenger is judged: on held-out time, by behaviour, by its owners' tests; and the page that shows it."""
