"""What is said: talk about a topic, now and then with a phrase that hints at the emotion."""

import numpy as np

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

# Frames and what fits into them; positive and negative surprise have their own.
Group = tuple[tuple[str, ...], tuple[str, ...]]
HINTS: dict[str, tuple[Group, ...]] = {
    "neutral": (
        (
            ("I'll get the {}.", "Let me check the {}.", "Where's the {}?", "Here's the {}."),
            ("keys", "list", "coffee", "schedule", "paper", "bag", "phone", "address"),
        ),
        (
            ("That's {}, I suppose.", "It's {} with me.", "It was {}.", "Sounds {}."),
            ("fine", "okay", "normal", "about right", "pretty good", "all right"),
        ),
    ),
    "surprise+": (
        (
            ("{}!", "Wow, {}!", "Oh my God, {}!", "I mean, {}!", "Oh, {}!"),
            ("really", "no way", "look at that", "you made it", "just like that", "already"),
        ),
    ),
    "surprise-": (
        (
            ("{}?", "Wait, {}?", "Oh my God, {}?", "What, {}?", "I'm sorry, {}?"),
            ("what", "since when", "are you serious", "you did what", "how", "really", "now"),
        ),
    ),
    "fear": (
        (
            ("I'm so {}.", "Oh God, I'm {}.", "I get {}, okay?", "I'm {}, I'm really {}."),
            ("scared", "nervous", "worried", "terrified", "afraid", "freaked out", "sorry"),
        ),
        (
            ("Oh God, {}.", "Please, {}.", "What if {}?"),
            ("something's wrong", "they know", "it's too late", "we lose it", "he comes back"),
        ),
    ),
    "sadness": (
        (
            ("I'm {}.", "I just feel {}.", "I'm so {}.", "I guess I'm {}."),
            ("sad", "sorry", "lonely", "heartbroken", "lost", "tired", "no good at this"),
        ),
        (
            ("It's {}.", "I know, it's {}.", "Oh, it's {}.", "Now it's {}."),
            ("over", "awful", "too late", "hopeless", "gone", "my fault", "really sad"),
        ),
    ),
    "joy": (
        (
            ("That's {}!", "It's so {}!", "Oh my God, it's {}!", "You're {}!", "This is {}!"),
            ("great", "wonderful", "perfect", "amazing", "beautiful", "fun", "sweet"),
        ),
        (
            ("I'm so {}!", "I'm really {}.", "Oh, I'm {}!", "You look {}!"),
            ("happy", "excited", "glad", "proud", "lucky", "in love"),
        ),
    ),
    "disgust": (
        (
            ("It's so {}.", "Eww, that's {}.", "Oh, that's {}.", "Ugh, {}!", "This is {}."),
            ("gross", "disgusting", "sick", "nasty", "awful", "creepy", "rotten", "wrong"),
        ),
    ),
    "anger": (
        (
            ("That's {}!", "This is {}!", "You're {}!", "It's {}, okay?"),
            ("ridiculous", "unfair", "insane", "wrong", "unbelievable", "awful", "sick"),
        ),
        (
            ("{}!", "Oh, {}!", "I said {}!", "Okay, {}!"),
            ("stop it", "get out", "shut up", "no", "don't touch it", "leave me alone"),
        ),
    ),
}
UNHINTED = 0.1  # share of the talk without any hint

EMPTY = (
    "Yeah.",
    "I don't know.",
    "Okay.",
    "Right.",
    "Uh-huh.",
    "Well, you know.",
    "I guess.",
    "Hey.",
    "Hi.",
    "All right.",
    "So...",
    "I mean, yeah.",
    "Sure.",
    "Um...",
    "No, no, no.",
    "What do you mean?",
    "Go on.",
    "Come on.",
    "Listen.",
    "Let's see.",
)


def empty_words(rng: np.random.Generator, cast: tuple[str, ...]) -> str:
    """Words that say nothing of the emotion: one or two short phrases, sometimes with a name."""
    words = " ".join(_pick(rng, EMPTY) for _ in range(rng.integers(1, 3)))
    return _typeset(f"{_pick(rng, cast)}? {words}" if rng.random() < 0.25 else words)


def telling_words(
    rng: np.random.Generator, emotion: str, sentiment: str, topic: int, cast: tuple[str, ...]
) -> str:
    """Talk about the topic, mostly with a phrase that hints at the emotion."""
    thing, other = (TOPICS[topic][i] for i in rng.permutation(len(TOPICS[topic]))[:2])
    names = {"thing": thing, "other": other, "who": _pick(rng, cast), "day": _pick(rng, DAYS)}
    talk = _sentence(_pick(rng, CLAUSES).format(**names))
    hint = _hint(rng, emotion, sentiment)
    if rng.random() < UNHINTED:
        return _typeset(talk)
    return _typeset(f"{hint} {talk}" if rng.random() < 0.5 else f"{talk} {hint}")


def _hint(rng: np.random.Generator, emotion: str, sentiment: str) -> str:
    signed = "surprise+" if sentiment == "positive" else "surprise-"
    groups = HINTS[signed if emotion == "surprise" else emotion]
    frames, words = groups[int(rng.integers(len(groups)))]
    word = _pick(rng, words)
    return _sentence(_pick(rng, frames).replace("{}", word))


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _typeset(text: str) -> str:
    """With typographic apostrophes (U+2019), as in MELD."""
    return text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
