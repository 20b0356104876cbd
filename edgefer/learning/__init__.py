"""What training and INT8 fine-tuning share: images, augmentation, loss, optimizers, checkpoints (torch)."""
