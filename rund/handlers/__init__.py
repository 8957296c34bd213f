"""One small file per noun: params in, values out."""
