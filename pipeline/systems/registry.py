"""The systems by name, with their titles: a new one is a new file and a line here."""

SYSTEMS = {
    "majority": "majority class",
    "tfidf": "TF-IDF",
    "logistic_regression": "logistic regression",
    "linear_svm": "linear SVM",
    "finetuned_head": "fine-tuned encoder alone",
    "bc_lstm": "bc-LSTM",
    "dialogue_rnn": "DialogueRNN",
    "dialogue_rnn_listeners": "DialogueRNN with listeners",
    "mmgcn": "MMGCN",
    "dag_erc": "DAG-ERC",
    "iterative_erc": "IterativeERC (our reading)",
    "emocaps": "EmoCaps (our reading)",
    "ga2mif": "GA2MIF",
    "mm_dfn": "MM-DFN",
    "m3net": "M3NET",
    "mvn": "MVN",
    "dialogue_gcn": "DialogueGCN",
    "icon": "ICON",
    "cogmen": "COGMEN",
    "crgmr": "RGAT + graph transformer (after CRGMR)",
    "mcn_cl": "MCN-CL",
}


def title(system: str) -> str:
    """A system's name for readers; that of a foreign one is its own."""
    return SYSTEMS.get(system, system)
