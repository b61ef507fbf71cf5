"""What a network does while it reads a text: its units, its gates, and what it looks back at.

Everything is a function of a network, its parameters and a text; what follows the reading is
NumPy in float64, so that it can be checked against textbooks.

May import: `engine`, `network`, `text`. Imported by: `testing`. Start reading with `reading`,
then `ranking`.
"""
