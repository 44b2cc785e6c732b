"""The prompts of tests/real: forty requests of five items each, of many kinds, written
for this test.

A request is {name, query, items} and, if it is so, item_first. The prompt of an item is
query + item as one text.
"""

SYSTEM = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"

PARAGRAPHS = [
    "The harbour of the old town lies at the end of a narrow bay. In the morning the fishing boats come back with herring and "
    "mackerel, and the gulls follow them all the way to the pier. By nine the market is open, and people from the villages "
    "around come down with baskets to buy what they need for the week.",
    "A lighthouse keeper used to live on the rock at the mouth of the bay. He climbed two hundred and twelve steps every "
    "evening to light the lamp, and every morning he climbed them again to put it out. Since 1978 the lamp has switched itself "
    "on and off, and the house is rented to visitors who like storms.",
    "Bread needs four things: flour, water, salt and time. The flour brings starch and protein, the water wakes the yeast, the "
    "salt slows it down, and time does the rest. A dough that rises slowly in a cold room tastes better than one that is "
    "hurried along beside an oven.",
    "The library was built in 1911 with money that a shipowner left to the town. It has a reading room with tall windows, a "
    "collection of maps, and a cellar in which the newspapers of a hundred years are kept. On rainy days every chair is taken, "
    "and the only sound is that of pages being turned.",
    "In spring the river rises by two or three metres, and the meadows beside it are under water for a week. Farmers keep their "
    "cattle on the hill until the ground is dry. Old marks on the bridge show how high the water stood in other years; the "
    "highest of them is above a tall man's head.",
    "To repair a bicycle tyre, take the wheel off, lift the tyre over the rim with two levers and pull out the tube. Pump it up "
    "and hold it under water: bubbles show where the hole is. Dry the place, roughen it, put on some glue, wait until it no "
    "longer feels wet, and press the patch on firmly.",
    "The observatory stands on a mountain, because the air is thin and dry there and the lights of the cities are far away. Its "
    "mirror is eight metres wide and is kept in shape by hundreds of small motors. On a clear night it can see galaxies whose "
    "light has been on its way since before the earth was formed.",
    "Every autumn the school puts on a play. The older pupils build the stage and the younger ones sew the costumes. Last year "
    "it was a story about a king who could not laugh, and the boy who played him laughed so much on the first evening that the "
    "curtain had to come down for five minutes.",
    "A glacier is a river of ice. Snow falls on its upper part, year after year, and is pressed into ice by the weight of what "
    "falls later. The ice flows downhill by some metres a year, carries stones with it and grinds the rock below, and melts at "
    "the lower end, where a cold grey stream begins.",
    "The tram line was opened in 1898 and closed in 1962, when everybody thought that cars would do. In 2005 the town began to "
    "build it again, on almost the same route. It now carries forty thousand people a day, more than the town has inhabitants, "
    "since many come from the suburbs to work.",
    "Bees tell each other where flowers are by dancing. A bee that has found a good place runs in a figure of eight on the comb "
    "and shakes her body on the middle line. The angle of that line to the vertical is the angle between the sun and the way to "
    "the flowers, and the longer she shakes, the farther it is.",
    "The committee met on Tuesday to discuss the new playground. Three firms had sent offers. The cheapest had no roof over the "
    "sand pit, the dearest had one but no swings, and so the members chose the third. Work is to begin in May, and children "
    "were asked to draw what they would like to see.",
    "Salt was once so dear that soldiers were paid in it, or so the story goes. Towns that had a salt spring became rich, roads "
    "were named after it, and kings lived on the tax. Today it costs next to nothing, most of it is strewn on icy roads, and "
    "doctors tell us to eat less of it.",
]


def chat(question: str, system: str = SYSTEM) -> str:
    return f"{system}<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"


def passage(words: int, first: int = 0) -> str:
    """Paragraphs one after the other, cut after so many words."""
    text = " ".join((PARAGRAPHS[first:] + PARAGRAPHS[:first]) * 2).split(" ")
    assert len(text) >= words
    return " ".join(text[:words])


def prose() -> list[dict]:
    return [
        {"name": "facts", "query": "", "items": ["The capital of France is", "Water is made of hydrogen and", "The opposite of hot is",
                                                 "Two plus two equals", "The first president of the United States was"]},
        {"name": "facts after a heading", "query": "Short answers to simple questions.\n\n", "items": [
            "Q: What colour is the sky on a clear day?\nA:", "Q: How many days are in a week?\nA:", "Q: Which animal barks?\nA:",
            "Q: What do we call frozen water?\nA:", "Q: In which season do leaves fall?\nA:"]},
        {"name": "stories", "query": "Once upon a time ", "items": ["there was a fox who", "a girl found a", "in a village by the sea, the", "the",
                                                                    "two brothers went to the market to sell their"]},
        {"name": "a sentence cut anywhere", "query": "The committee met on Tuesday to", "items": ["", " discuss", " discuss the new", " discuss the new play", " d"]},
        {"name": "the same item", "query": "My favourite fruit is the ", "items": ["apple", "apple", "banana", "apple", "ap"]},
        {"name": "items that begin alike", "query": "Notes of the day: ", "items": [PARAGRAPHS[2][:n] for n in (20, 60, 61, 120, 240)]},
        {"name": "instructions", "query": PARAGRAPHS[5] + "\n\nQuestion: ", "items": [
            "What shows where the hole is?\nAnswer:", "What do you need two of?\nAnswer:", "When do you press the patch on?\nAnswer:",
            "What is pulled out first?\nAnswer:", "Is this about cars? Answer Yes or No.\nAnswer:"]},
        {"name": "letters", "query": "Dear Mrs Miller,\n\n", "items": ["thank you for your", "I am writing to complain about the", "we are happy to",
                                                                       "please find attached the", "I hope this letter finds you"]},
    ]  # fmt: skip


def chats() -> list[dict]:
    return [
        {"name": "chat", "query": SYSTEM + "<|im_start|>user\n", "items": [q + "<|im_end|>\n<|im_start|>assistant\n" for q in (
            "What is the capital of France?", "Say hello in Spanish.", "Is the sun a star? Answer yes or no.", "Give me a word that rhymes with cat.", "Hi!")]},
        {"name": "chat alone", "query": "", "items": [chat(q) for q in ("Who are you?", "Name three fruits.", "What is 7 times 8?", "Write a haiku.", "")]},
        {"name": "chat with another system", "query": "", "items": [chat("Is this spam? 'Win a prize now!' Answer Yes or No.", f"<|im_start|>system\n{s}<|im_end|>\n")
                                                                    for s in ("You are a judge.", "Answer with one word.", "", "You are a pirate.", "Be brief. " * 20)]},
        {"name": "chat of several turns", "query": chat("Let us count. One.") + "Two.<|im_end|>\n<|im_start|>user\n", "items": [
            n + "<|im_end|>\n<|im_start|>assistant\n" for n in ("Three.", "Five.", "Ten.", "One hundred.", "Stop.")]},
        {"name": "chat about a passage", "query": SYSTEM + "<|im_start|>user\n" + PARAGRAPHS[10] + "\n", "items": [
            q + "<|im_end|>\n<|im_start|>assistant\n" for q in ("What do bees do?", "Is this about birds?", "Summarize it.", "Who dances?", "Translate to French.")]},
        {"name": "chat begun", "query": chat("Is grass green?"), "items": ["Yes", "No", "Yes, grass is", "It", "<|im_end|>"]},
    ]  # fmt: skip


def code() -> list[dict]:
    return [
        {"name": "Python", "query": "def add(a, b):\n    return a + b\n\n\n", "items": ["def sub(a, b):\n    return a", "def mul(", "class Point:\n    def __init__(self,",
                                                                                    "if __name__ ==", "import numpy as"]},
        {"name": "C", "query": "#include <stdio.h>\n\nint main(void) {\n", "items": ["    printf(", "    for (int i = 0; i <", "\treturn", "    char *s = \"", "    // the"]},
        {"name": "Go", "query": "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\n", "items": ["func main() {\n\tif err := run(); err !=", "type Server struct {\n\t", "func (s *Server) Close()",
                                                                                     "var x = []int{1, 2,", "// "]},
        {"name": "SQL and shell", "query": "", "items": ["SELECT name, COUNT(*) FROM users GROUP", "SELECT * FROM orders WHERE id =", "$ git commit -m \"", "for f in *.txt; do\n  echo \"$f\"\n",
                                                         "docker run --rm -it -p 8080:"]},
        {"name": "JSON", "query": "{\"users\": [{\"name\": \"Ann\", \"age\": 31}, {\"name\": \"Bob\", \"age\": 27}", "items": ["]", ", {\"name\": \"", ", {\"name\": \"Cid\", \"age\":", "], \"total\":", "}"]},
        {"name": "HTML and CSS", "query": "<!DOCTYPE html>\n<html>\n<head><title>Shop</title></head>\n<body>\n", "items": ["<h1>", "<ul>\n  <li>Apples</li>\n  <li>", "<a href=\"", "<style>\nbody { color:", "</body>\n</"]},
        {"name": "code at the end", "query": "\nIs the text above code? Answer Yes or No.\nAnswer:", "item_first": True, "items": [
            "x = [i * i for i in range(10)]", "The cat sat on the mat.", "while (true) { step(); }", "Dear Sir or Madam,", "lambda: None"]},
    ]  # fmt: skip


def languages() -> list[dict]:
    return [
        {"name": "French", "query": "La capitale de ", "items": ["la France est", "l'Italie est", "l'Allemagne, c'est", "mon cœur, c'est", "cette région où l'été est très"]},
        {"name": "German and Spanish", "query": "", "items": ["Die Straße ist im Winter oft", "Der Zug fährt um zehn Uhr nach", "Guten", "El niño come una manzana y", "¿Dónde está la"]},
        {"name": "Chinese and Japanese", "query": "", "items": ["北京是中国的", "今天天气很", "我喜欢吃苹果和", "東京は日本の", "これはペンで"]},
        {"name": "Russian, Greek, Arabic, Hebrew, Hindi", "query": "", "items": ["Москва — столица", "Η Αθήνα είναι η", "القاهرة هي عاصمة", "שלום", "नमस्ते, आप कैसे"]},
        {"name": "translations", "query": "Translate English to French.\n\nEnglish: Good morning\nFrench: Bonjour\n\nEnglish: ", "items": [
            "Thank you\nFrench:", "The house\nFrench:", "Water\nFrench:", "I love you\nFrench:", "Goodbye\nFrench:"]},
        {"name": "accents in two forms", "query": "Le café ", "items": ["était fermé", "e\u0301tait ferme\u0301", "naïve", "nai\u0308ve", "ﬁn ﬀ ß İ"]},
    ]  # fmt: skip


def odd() -> list[dict]:
    return [
        {"name": "special tokens", "query": "<|endoftext|>", "items": ["", "<|im_start|>", "<|im_end|><|im_end|>", "<repo_name>scored<file_sep>README.md\n", "<jupyter_start><jupyter_text>"]},
        {"name": "special tokens nearly", "query": "<|im_", "items": ["start|>", "end|>user", "start |>", "star", "<|im_start|>"]},
        {"name": "digits", "query": "Numbers: ", "items": ["1234567890", "3.14159", "  42", "the year 1999 and the year  2000", "½ ² ٣ 四 Ⅷ 1st"]},
        {"name": "sums", "query": "1 + 1 = 2\n2 + 3 = 5\n4 + 4 = 8\n", "items": ["5 + 2 =", "10 + 10 =", "7 - 3 =", "12 + 30 = 4", "100 +"]},
        {"name": "blanks", "query": "a", "items": [" ", "  ", "\n\n\n", "\t\tb", "    \n  x  3"]},
        {"name": "emoji and signs", "query": "So happy ", "items": ["😀", "👩‍👩‍👧‍👦", "🇫🇷🇩🇪", "→ ∀x ∈ ℝ: x² ≥ 0", "™ © ® € £ ¥"]},
        {"name": "repetition", "query": "", "items": ["a" * 60, "the " * 40, "ha" * 30 + "!", "=" * 80, "1, 2, 3, " * 12]},
        {"name": "one token", "query": "", "items": ["The", "a", "\n", "<|im_start|>", "0"]},
        {"name": "tables", "query": "| city | country |\n|---|---|\n| Paris | France |\n", "items": ["| Rome |", "| Madrid |", "| Berlin | Germany |\n| Tokyo |", "|", "\nThe table lists"]},
    ]  # fmt: skip


def long() -> list[dict]:
    ask = ["\n\nQuestion: What is the text about?\nAnswer:", " The", "\n\n", "\n\nQuestion: Does the text mention bees? Answer Yes or No.\nAnswer:",
           "\n\nQuestion: How many steps did the keeper climb?\nAnswer:"]  # fmt: skip
    return [
        {"name": "1,500 tokens", "query": passage(1270), "items": ask},
        {"name": "800 tokens", "query": passage(640, first=4), "items": ask},
        {"name": "300 tokens, then 200 more", "query": passage(240, first=8), "items": [" " + passage(n, first=n % 7) for n in (160, 120, 80, 40, 12)]},
        {"name": "items of 400 tokens first", "query": "\n\nIs the text above about food? Answer Yes or No.\nAnswer:", "item_first": True,
         "items": [passage(n, first=i) for i, n in enumerate((320, 200, 140, 60, 33))]},
    ]  # fmt: skip


def requests() -> list[dict]:
    found = prose() + chats() + code() + languages() + odd() + long()
    assert len(found) == 40 and all(len(r["items"]) == 5 for r in found), len(found)
    return found
