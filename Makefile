# Two commands for a newcomer: `make demo`, `make test`. PYTHON names another interpreter (3.11+).
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
INSTALLED := $(VENV)/.installed
# Programs of an environment, `dvc` for one, hold the place where it was made: this file says which.
PLACE := $(VENV)/.place
PYTEST := python -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal
ifneq ($(shell cat $(PLACE) 2>/dev/null),$(CURDIR))
.PHONY: $(PLACE)
endif

.PHONY: demo demo-ablation meld-text meld-text-finetuned test test-all lint lock

demo: $(PLACE)
	dvc repro
	python -m pipeline summary
	python -m pipeline baseline

# What each modality and each part of the model is worth; goes on where it was stopped.
demo-ablation: $(PLACE)
	python -m pipeline experiment demo-ablation

# The real MELD annotations, text only: make meld-text MELD_CSV=/folder/with/the/three/csv
meld-text: $(PLACE)
	python -m pipeline meld-text $(or $(MELD_CSV),$(error name the folder: MELD_CSV=DIR))
	dvc exp run --name meld-text -S 'corpora=[meld_text]' -S 'demos=[]'
	python -m pipeline summary

# The same with the text encoder fine-tuned on the train split, three named turns before as context.
# SYSTEMS=majority,bc_lstm,mcn_cl names other systems; the reference, mcn_cl, must be one of them.
meld-text-finetuned: SYSTEMS ?= majority,tfidf,logistic_regression,finetuned_head,mcn_cl
meld-text-finetuned: $(PLACE)
	python -m pipeline meld-text $(or $(MELD_CSV),$(error name the folder: MELD_CSV=DIR))
	dvc exp run --name meld-text-finetuned -S 'corpora=[meld_text]' -S 'demos=[]' \
	  -S 'systems=[$(SYSTEMS)]' \
	  -S meld_text.finetune.enabled=true -S meld_text.text.pooling=mean \
	  -S meld_text.text.context_turns=3 -S meld_text.text.speaker_marks=names
	python -m pipeline summary

test: $(PLACE)
	$(PYTEST) -m "not slow"

test-all: $(PLACE) lint
	$(PYTEST)

lint: $(PLACE)
	ruff check .
	ruff format --check .
	mypy

$(INSTALLED): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=/path/to/it" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@echo "Installing the locked libraries into $(VENV): about 7 GB, which takes some minutes."
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

# Also after this folder was moved or copied: programs start again, and `python -m pipeline` and
# `python -m stages.X` say in any folder where to call them.
$(PLACE): $(INSTALLED)
	@$(VENV)/bin/python -m venv --without-pip $(VENV)
	@$(VENV)/bin/python -c '\
	import os, pathlib, sysconfig; \
	from importlib.metadata import entry_points; \
	from pip._vendor.distlib.scripts import ScriptMaker; \
	maker = ScriptMaker(None, sysconfig.get_path("scripts")); \
	maker.clobber = maker.set_mode = True; \
	maker.variants = {""}; \
	maker.make_multiple(f"{e.name} = {e.value}" for e in entry_points(group="console_scripts")); \
	pathlib.Path(sysconfig.get_path("purelib"), "project.pth").write_text(os.getcwd() + "\n"); \
	pathlib.Path("$@").write_text(os.getcwd())'

# Newest versions that pyproject.toml allows. torch stays at the last release whose torchvision
# is out and whose wheels import without a GPU.
lock:
	uv pip compile --universal --generate-hashes --no-header --python-version 3.11 \
	  pyproject.toml --group dev --constraint constraints.txt --output-file requirements.lock
