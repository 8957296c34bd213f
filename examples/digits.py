"""Trains a support vector classifier on scikit-learn's handwritten digits, and prints how many it tells right."""

import argparse

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--C", type=float, default=1.0, help="how much a wrong digit costs")
parser.add_argument("--gamma", type=float, default=0.001, help="how near digits must be to count as alike")
args = parser.parse_args()

digits = load_digits()
train_x, test_x, train_y, test_y = train_test_split(digits.data, digits.target, test_size=0.25, random_state=0)
model = SVC(C=args.C, gamma=args.gamma).fit(train_x, train_y)
print(f"accuracy: {model.score(test_x, test_y):.4f}")
