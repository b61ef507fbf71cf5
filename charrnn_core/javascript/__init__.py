"""A network's step as JavaScript: compiled from its equations, with its numbers and a runtime.

`split` sorts the step's equations by what a value depends on, `lowering` turns those that run for
each character into loops over typed arrays, one kind of operation to a module, and `block` orders
these loops and writes them down. ``runtime/*.js`` is plain JavaScript that any page may use.

May import: `engine`, `network`, `text`. Imported by: `testing`. Start reading with `step`; `nodes`
says what code is made of.
"""
