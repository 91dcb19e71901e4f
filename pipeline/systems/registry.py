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
    "icon": "ICON",
    "iterative_erc": "IterativeERC (our reading)",
    "emocaps": "EmoCaps (our reading)",
    "dialogue_gcn": "DialogueGCN",
    "mmgcn": "MMGCN",
    "mm_dfn": "MM-DFN",
    "cogmen": "COGMEN",
    "crgmr": "CRGMR (our reading)",
    "dag_erc": "DAG-ERC",
    "ga2mif": "GA2MIF",
    "m3net": "M3NET",
    "mvn": "MVN",
    "misa": "MISA",
    "maln": "MALN (our reading)",
    "gia_mic": "GIA-MIC (our reading)",
    "shi": "Shi et al. (our reading)",
    "mcn_cl": "MCN-CL",
}


def title(system: str) -> str:
    """A system's name for readers; that of a foreign one is its own."""
    return SYSTEMS.get(system, system)
