"""The command ``charrnn report``: one page about one run or several."""
