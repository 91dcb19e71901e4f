"""Which published file a user has, by its bytes, and whose labels its vectors were made with."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline.base.settings import MODALITIES, Modality, TrainedOn
from pipeline.feature_files.contents import Contents

MARKS: dict[str, TrainedOn] = {"train": "train", "none": "none", "?": "unknown"}


class Known(NamedTuple):
    """A published file."""

    name: str
    trained_on: Mapping[Modality, TrainedOn]


# The id that git gives the bytes, or their SHA-256; whose labels text, audio and visual have seen;
# what the file is known as.
_KNOWN = """
a21501009647eb0774a638ccd123aba6668768cc train train train  IEMOCAP_features_raw.pkl (conv-emotion)
48a47d73b4b10c805ac7819fd9bcc61444119c65 train train train  IEMOCAP_features.pkl (DialogueGCN)
9c9bef7c5a1cc024610f09d90047c4d94b1756ab train train train  IEMOCAP_features_4.pkl (COGMEN)
889532cad757903e78b3f87445306592eb8e2070 train none none  IEMOCAP_features.pkl (MMGCN, MM-DFN)
0b2c026fee4f49f453f168c7f866a199fc51d84f train train ?  MELD_features_raw.pkl (conv-emotion)
55873a76e17fa3e054bcc5afc534cd1dde2eb2d8 train train none  MELD_features_raw1.pkl (MMGCN, MM-DFN)
dae1ed5cc0241c3f01308107a7ac94d749077f9b train ? ?  TextFeatures.pkl of IEMOCAP (MultiEMO)
3940cd53ec7478925284fe7644234b33bab41ea9 ? ? ?  AudioFeatures.pkl of IEMOCAP (MultiEMO)
129a9c9428088d62fc625e8538a96ce43e2acd3c ? ? ?  VisualFeatures.pkl of IEMOCAP (MultiEMO)
a0763059fcc8be7ba8236ef38236b099e5d072a1 train ? ?  TextFeatures.pkl of MELD (MultiEMO)
d00862d3f7cf2168898c61f8df29ce352ad97256 ? ? ?  AudioFeatures.pkl of MELD (MultiEMO)
278dab61854faf0376ea1c45b95c0193c70163c6 ? ? ?  VisualFeatures.pkl of MELD (MultiEMO)
ef0968adda15ab3d64e6af93092d86d607145814 ? ? ?  iemocap_data.pkl (EmoCaps-FFN)
eaa9a71a4c94fef7bdcee56820d87283a2d14cba ? ? ?  iemocap.pkl (COSMIC)
6575f1a0eb83be0b7dda00b323a391def63e7cc9 ? ? ?  meld.pkl (COSMIC)
8cc3a2c1f7d99108da017f4b2b720340ea4e2c19 ? ? ?  IEMOCAP_features_raw_6way.pkl (GCNet)
1ed18df6d306d0885fdb569568eaf1a21ccc8718 ? ? ?  IEMOCAP_features_raw_4way.pkl (GCNet)
ceb5cc9a45d1792998438e27f86a12642320aa6315546e4425316140ea503fb3 train none none  \
IEMOCAP_features.pkl (MMGCN, MM-DFN)
78e0f8b5ef8ff71558e7307848fc1fa929ecb078203f565ab22b9daab2e02524 none none none  \
MOSI unaligned_50.pkl (MMSA)
d3994fd25681f9c7ad6e9c6596a6fe9b4beb85ff7d478ba978b124139002e5f9 none none none  \
MOSI aligned_50.pkl (MMSA)
ad8b23d50557045e7d47959ce6c5b955d8d983f2979c7d9b7b9226f6dd6fec1f none none none  \
MOSEI unaligned_50.pkl (MMSA)
45eccfb748a87c80ecab9bfac29582e7b1466bf6605ff29d3b338a75120bf791 none none none  \
MOSEI aligned_50.pkl (MMSA)
c9e20c13ec0454d98bb9c1e520e490c75146bfa2dfeeea78d84de047dbdd442f none none none  \
SIMS unaligned_39.pkl (MMSA)
"""
KNOWN = {
    digest: Known(name, {m: MARKS[mark] for m, mark in zip(MODALITIES, marks, strict=True)})
    for digest, *marks, name in (line.split(maxsplit=4) for line in _KNOWN.strip().splitlines())
}
# Elsewhere, of a layout: whose labels vectors of so many features have seen. The text of COSMIC,
# SDT and CFN-ESA is RoBERTa's, MultiEMO's EmoBERTa's, both tuned on labels; audio of 100 and 300 is
# a layer that learnt them; MELD's 1422 and 1611 were chosen by them.
_TUPLES: dict[str, TrainedOn] = {
    **dict.fromkeys(("text-100", "text-600", "text-1024", "audio-100", "audio-300"), "train"),
    **dict.fromkeys(("audio-1582", "visual-342"), "none"),
}
_BASELINE = ("text-100", "text-600", "audio-300", "audio-600", "audio-1422", "audio-1611")
SEEN: dict[str, dict[str, TrainedOn]] = {
    **dict.fromkeys(("dialogue_rnn", "mmgcn", "sdt", "cfn_esa", "cosmic"), _TUPLES),
    "multiemo": {"text-768": "train"},
    "meld_baseline": {**dict.fromkeys(_BASELINE, "train"), "text-300": "none"},
}


def fingerprints(path: Path) -> tuple[str, str]:
    """SHA-256 of a file's bytes, and the id that git gives them."""
    sha256, blob = hashlib.sha256(), hashlib.sha1(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            sha256.update(chunk)
            blob.update(chunk)
    return sha256.hexdigest(), blob.hexdigest()


def trained_on(contents: Contents, known: Known | None) -> dict[Modality, TrainedOn]:
    """Whose labels the vectors of each modality have seen, by what is stated, or else known."""
    seen: dict[Modality, TrainedOn] = {}
    for modality in MODALITIES:
        if modality in contents.vectors:
            width = next((v.shape[1] for v in contents.vectors[modality] if v is not None), 0)
            default: TrainedOn = "unknown"
            default = SEEN.get(contents.layout, {}).get(f"{modality}-{width}", default)
            default = known.trained_on[modality] if known else default
            seen[modality] = contents.trained_on.get(modality, default)
    return seen
