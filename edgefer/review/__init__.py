"""What a training came to, to look at: its folder and data in, ``run.html`` and ``run.json`` out."""
