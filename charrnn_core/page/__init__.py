"""One HTML file that anybody can open: its frame, its colours, and what it says to a browser.

A page needs no network and no other file: its Content-Security-Policy forbids both. What a page is
about is made by who writes it; here is what all pages share, so that they look and read alike.

May import: only modules at the root. Imported by: `runs`, `evaluation`, `training`, `testing`.
Start reading with `frame`.
"""
