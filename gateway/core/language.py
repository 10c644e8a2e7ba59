"""In which language a text is, as far as a rule of the policy needs to know it.

By its script, and where several languages share one, by the commonest small words. A text that
shows too little of either has no language: a rule about languages then does not hold.
"""

import re

MAX_TEXT = 400  # characters that are looked at
LEAST = 2  # small words that must be there
LEAD = 1.2  # how many times as many as those of the next language

# A script's language; where a letter of the third column is in the text, that of the fourth.
_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]"), "", ""),
    ("ko", re.compile("[\uac00-\ud7af]"), "", ""),
    ("zh", re.compile("[\u4e00-\u9fff]"), "", ""),
    ("th", re.compile("[\u0e00-\u0e7f]"), "", ""),
    ("el", re.compile("[\u0370-\u03ff]"), "", ""),
    ("he", re.compile("[\u05d0-\u05ea]"), "", ""),
    ("ar", re.compile("[\u0620-\u06d3]"), "\u067e\u0686\u0698\u06af\u06a9\u06cc", "fa"),
    ("hi", re.compile("[\u0900-\u097f]"), "", ""),
    ("ru", re.compile("[\u0430-\u045f\u0491]"), "\u0456\u0457\u0454\u0491", "uk"),
)
_LATIN = re.compile("[a-z]")
_WORD = re.compile(r"[^\W\d_]+")

_SMALL_WORDS = {
    "en": "the of and to is in for what how my can you with this that a it i do are on please does"
    " if was have from be not at me or",
    "de": "der die das und ist ein eine ich nicht mit zu wie den dem für was auf von bitte mir kann"
    " wir es im sind auch wenn oder als bei wird noch mein einen",
    "fr": "le la les des est une et un je pour dans que qui pas en du vous mon avec ce sur il de"
    " au plus comment quel quelle par ou est sont mes cette",
    "es": "el la los las de que y en un una es por para con no se mi lo del al me como qué cómo más"
    " hay si su cuál esta este sin puedo o",
    "pt": "o a os as de que e em um uma é para com não por do da no na se me mais como qual ao isso"
    " meu minha você eu está dos das pra ou",
    "it": "il la di che e un una è per con non mi le gli lo del della si come in sono ho da i al"
    " cosa qual più questo questa mio mia se ci nel",
    "nl": "de het een en van is ik dat niet in op te voor met mijn zijn wat hoe er aan kan je als"
    " maar ook dit die naar om bij nog wel we",
    "sv": "och det att är en ett i på jag som för med inte av den till har hur vad kan om min de vi"
    " så du från mig när ska eller",
    "da": "og det at er en et i på jeg som for med ikke af den til har hvordan hvad kan om min de"
    " vi så du fra mig når skal eller hvor",
    "no": "og det at er en et i på jeg som for med ikke av den til har hvordan hva kan om min de vi"
    " så du fra meg når skal eller hvor",
    "fi": "ja on ei se että mikä miten en hän mutta ovat olen voi tämä kun niin minun mitä kuin jos"
    " sen oli ole onko vai mun",
    "pl": "w na jest nie się z jak że co czy mi dla po za mam ale są tego od moja mój"
    " być tylko przez ile który",
    "cs": "je na se v že jak co s mi pro jsem si ale z za ve jsou mám nebo který podle"
    " kdy jako není už kolik",
    "hu": "az és hogy nem egy van mi ez is de meg mint ha azt csak vagy lehet nekem hogyan milyen"
    " kell már volt még el",
    "ro": "și de la în nu un o este cu pe ce să din pentru care mai cum am îmi se sunt că sau le ai"
    " după dacă fi unde",
    "tr": "ve bir bu için ne nasıl mi ile da de mı var çok ben olarak gibi en daha ama kaç değil ya"  # noqa: RUF001
    " bana benim olan o kadar mu sonra her",
    "id": "yang dan di ini itu untuk dengan saya apa tidak dari ke bisa adalah cara ada akan atau"
    " bagaimana dalam kalau jadi berapa aku kamu tolong buat pada sudah nya",
    "vi": "là và của có cho không một tôi được những này với các cách thế như trong bao em anh làm"
    " gì giúp thì mình về để từ cái",
    "tl": "ang ng sa na ko ba mga ano at po ay ito paano para yung ako lang mo kung hindi naman si"
    " may nang pa siya natin kasi",
    "sw": "na ya wa ni kwa za la katika je hii nini gani yangu ili au kama hiyo cha vya kwenye moja"
    " nataka naomba jinsi",
}
_SPEAKERS: dict[str, list[str]] = {}  # of a small word: the languages that have it
for _name, _words in _SMALL_WORDS.items():
    for _each in set(_words.split()):
        _SPEAKERS.setdefault(_each, []).append(_name)

LANGUAGES = frozenset(_SMALL_WORDS) | {name for name, *_ in _SCRIPTS} | {"fa", "uk"}


def language_of(text: str) -> str | None:
    """Its ISO 639-1 code, or None."""
    head = text[:MAX_TEXT].lower()
    if not head.isascii():
        latin = len(_LATIN.findall(head))
        for name, script, letters, other in _SCRIPTS:
            found = len(script.findall(head))
            if found and found * 2 >= latin:  # a name or a formula in a text is no language
                return other if any(letter in head for letter in letters) else name
    votes: dict[str, float] = {}
    for word in _WORD.findall(head):
        named = _SPEAKERS.get(word, ())
        for name in named:
            votes[name] = votes.get(name, 0) + 1 / len(named)
    ranked = sorted(votes.items(), key=lambda vote: -vote[1])[:2]
    if not ranked or ranked[0][1] < LEAST / 2:
        return None
    if len(ranked) == 2 and ranked[0][1] < LEAD * ranked[1][1]:
        return None
    return ranked[0][0]
