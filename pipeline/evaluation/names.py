"""What the models of the table of predictions are called in words."""

MAJORITY = "majority"
NAMES = {
    MAJORITY: "majority class",
    "tfidf": "TF-IDF",
    "logistic_regression": "logistic regression",
    "finetuned_head": "the fine-tuned encoder alone",
}


def model_name(model: str) -> str:
    """A model as a reader knows it."""
    return NAMES.get(model, model)
