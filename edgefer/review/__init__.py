"""Review a training run: reads its folder and data, writes ``run.html`` and ``run.json``."""
