"""The conformance kit for cells: its subject, the contract, what a cell has to learn."""
