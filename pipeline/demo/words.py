"""Template sentences: talk about a topic, mostly with a phrase that hints at the emotion."""

import re

import numpy as np

CAST = ("Nora", "Ben", "Tess", "Omar", "Ida", "Hugo", "Lena", "Raj", "Mina", "Karl", "Zoe", "Theo")
NO_HINT, NAME_FIRST = 0.1, 0.25  # probabilities

TOPICS: tuple[tuple[str, ...], ...] = (
    ("the lease", "the landlord", "the new apartment", "the leak in the kitchen"),
    ("the audition", "the director", "my second scene", "the callback"),
    ("the wedding", "the seating plan", "the band", "your speech"),
    ("the ferry", "the suitcase", "the map", "the room by the harbor"),
    ("the puppy", "the vet", "the leash", "the neighbor's cat"),
    ("the job in Tulsa", "the interview", "my boss", "the report"),
    ("the turkey", "the oven", "Grandma's recipe", "the pie"),
    ("the exam", "the professor", "my paper", "the study group"),
    ("the sweater", "the receipt", "the store on Fifth", "the blue coat"),
    ("the basement", "that noise", "the fuse box", "the ladder"),
    ("the game", "the tickets", "the coach", "our seats"),
    ("the piano", "the movers", "the stairs", "the old couch"),
    ("the blind date", "the phone call", "the letter", "the restaurant"),
    ("the hospital", "the doctor", "the waiting room", "the test results"),
)

CLAUSES = (
    "I talked to {who} about {thing}.",
    "So, {who} called about {thing}.",
    "Did you hear about {thing}?",
    "You know, {thing}, the one from {day}.",
    '{who} said, "let\'s wait with {thing}," and I said okay.',
    "I was going to ask {who} about {thing}, but it was late.",
    "It's about {thing}.",
    "We're supposed to deal with {thing} on {day}.",
    "Wait, what about {thing}?",
    "{who} has {thing}, I think.",
    "I saw {who} on {day}, with {thing}.",
    "Okay, first {thing}, then {other}.",
    "It's not {thing}, it's {other}.",
    "Remember {thing}?",
    "Nobody told me about {thing}, or {other}.",
    "They changed {thing} again.",
    "Look, {who}, {thing} is here.",
    "That's what {who} said about {thing}.",
    "I thought {thing} was on {day}.",
    "Could you look at {thing}, please?",
)
DAYS = ("Monday", "Tuesday", "Thursday", "Friday", "the weekend", "Sunday night")

Group = tuple[tuple[str, ...], tuple[str, ...]]


def _groups(text: str) -> dict[str, tuple[Group, ...]]:
    """Templates, a line, and their fillers, the next line, under the name of an emotion."""
    hints = {}
    for block in re.split(r"\n(?=\S)", text.strip()):
        name, *lines = block.splitlines()
        rows = [tuple(line.strip().split(" / ")) for line in lines]
        hints[name] = tuple(zip(rows[::2], rows[1::2], strict=True))
    return hints


# Positive and negative surprise have their own.
HINTS = _groups("""
neutral
  I'll get the {}. / Let me check the {}. / Where's the {}? / Here's the {}.
    keys / list / coffee / schedule / paper / bag / phone / address
  That's {}, I suppose. / It's {} with me. / It was {}. / Sounds {}.
    fine / okay / normal / about right / pretty good / all right
surprise+
  {}! / Wow, {}! / Oh my God, {}! / I mean, {}! / Oh, {}!
    really / no way / look at that / you made it / just like that / already
surprise-
  {}? / Wait, {}? / Oh my God, {}? / What, {}? / I'm sorry, {}?
    what / since when / are you serious / you did what / how / really / now
fear
  I'm so {}. / Oh God, I'm {}. / I get {}, okay? / I'm {}, I'm really {}.
    scared / nervous / worried / terrified / afraid / freaked out / sorry
  Oh God, {}. / Please, {}. / What if {}?
    something's wrong / they know / it's too late / we lose it / he comes back
sadness
  I'm {}. / I just feel {}. / I'm so {}. / I guess I'm {}.
    sad / sorry / lonely / heartbroken / lost / tired / no good at this
  It's {}. / I know, it's {}. / Oh, it's {}. / Now it's {}.
    over / awful / too late / hopeless / gone / my fault / really sad
joy
  That's {}! / It's so {}! / Oh my God, it's {}! / You're {}! / This is {}!
    great / wonderful / perfect / amazing / beautiful / fun / sweet
  I'm so {}! / I'm really {}. / Oh, I'm {}! / You look {}!
    happy / excited / glad / proud / lucky / in love
happiness
  That's {}. / It's so {}. / You're {}! / Oh, this is {}. / Well, that's {}!
    great / wonderful / lovely / nice / beautiful / good news / sweet
  I'm so {}. / I'm really {}. / I'm {} for you. / You look {}!
    happy / glad / proud / lucky / in love / pleased
excited
  That's {}! / This is {}! / Oh my God, that's {}! / It's {}!
    amazing / great / wonderful / fantastic / incredible / awesome / huge
  {}! / Oh, {}! / Guess what, {}! / Oh my God, {}!
    I can't wait / I got in / we did it / I'm so excited / I love it / we're going
frustration
  This is {}. / It's {}, okay? / Well, that's {}. / That's just {}.
    ridiculous / pointless / unfair / hopeless / a waste of time / wrong
  {}. / Look, {}. / I mean, {}. / I said {}.
    I've told you twice / I give up / nobody listens / it never works / not again
disgust
  It's so {}. / Eww, that's {}. / Oh, that's {}. / Ugh, {}! / This is {}.
    gross / disgusting / sick / nasty / awful / creepy / rotten / wrong
anger
  That's {}! / This is {}! / You're {}! / It's {}, okay?
    ridiculous / unfair / insane / wrong / unbelievable / awful / sick
  {}! / Oh, {}! / I said {}! / Okay, {}!
    stop it / get out / shut up / no / don't touch it / leave me alone
""")
EMPTY = (
    *("Yeah.", "I don't know.", "Okay.", "Right.", "Uh-huh.", "Well, you know.", "I guess."),
    *("Hey.", "Hi.", "All right.", "So...", "I mean, yeah.", "Sure.", "Um...", "No, no, no."),
    *("What do you mean?", "Go on.", "Come on.", "Listen.", "Let's see."),
)


def empty_words(rng: np.random.Generator) -> str:
    """One or two short phrases that say nothing of the emotion, sometimes after a name."""
    words = " ".join(_pick(rng, EMPTY) for _ in range(rng.integers(1, 3)))
    return f"{_pick(rng, CAST)}? {words}" if rng.random() < NAME_FIRST else words


def telling_words(rng: np.random.Generator, emotion: str, sentiment: str, topic: int) -> str:
    """A sentence about a topic, mostly with a phrase that hints at the emotion."""
    thing, other = (TOPICS[topic][i] for i in rng.permutation(len(TOPICS[topic]))[:2])
    names = {"thing": thing, "other": other, "who": _pick(rng, CAST), "day": _pick(rng, DAYS)}
    talk = _capitalised(_pick(rng, CLAUSES).format(**names))
    hint = _hint(rng, emotion, sentiment)
    if rng.random() < NO_HINT:
        return talk
    return f"{hint} {talk}" if rng.random() < 0.5 else f"{talk} {hint}"


def _hint(rng: np.random.Generator, emotion: str, sentiment: str) -> str:
    signed = "surprise+" if sentiment == "positive" else "surprise-"
    groups = HINTS[signed if emotion == "surprise" else emotion]
    templates, fillers = groups[int(rng.integers(len(groups)))]
    filler = _pick(rng, fillers)
    return _capitalised(_pick(rng, templates).replace("{}", filler))


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _capitalised(sentence: str) -> str:
    # str.capitalize would lower the "I" and "God" within the sentence.
    return sentence[:1].upper() + sentence[1:]
