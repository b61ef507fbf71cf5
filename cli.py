"""Stub."""

def main():
    pass
