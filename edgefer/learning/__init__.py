"""Shared by training and INT8 fine-tuning: images, augmentation, loss, optimizers, checkpoints (torch)."""
