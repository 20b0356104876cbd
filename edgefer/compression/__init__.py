"""Checkpoint to bundle: calibrate, fine-tune in INT8, export, lower to each target, check against FP32."""
