"""SQL over any range of days, wherever they are: one statement for each, and one for all of them."""
