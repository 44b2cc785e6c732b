"""The texts that generate.py makes vectors of: a name for the kind, and a text or a list
of [text, times]."""

import random

from tokenizers import normalizers

SEED = 20251125

SPECIALS = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|box_end|>", "<|vision_pad|>", "<|image_pad|>",
    "<tool_call>", "</tool_call>", "<tool_response>", "<|fim_prefix|>", "<|repo_name|>", "<|file_sep|>", "<think>", "</think>",
]

# A query and an item whose join is not the join of their tokens, or might not be.
SEAMS = [
    ("Is it ", "done"), ("Is it", " done"), ("Is it ", " done"), ("a\n", "\nb"), ("a\r", "\nb"), ("a ", "\nb"), ("a\n", " b"),
    ("e", "\u0301"), ("cafe", "\u0301 noir"), ("\u0301", "e"), ("a\u0323", "\u0301"), ("a\u0301", "\u0323"), ("A", "\u030a"),
    ("\u1100", "\u1161"), ("\uac00", "\u11a8"), ("\u1100\u1161", "\u11a8"), ("\u0e01", "\u0e33"), ("\u0e01\u0e48", "\u0e32"),
    ("\U0001f469\u200d", "\U0001f4bb"), ("\U0001f469", "\u200d\U0001f4bb"), ("\U0001f44d", "\U0001f3fd"), ("\u2764", "\ufe0f"),
    ("\U0001f1e9", "\U0001f1ea"), ("don", "'t"), ("don'", "t"), ("I", "'LL go"), ("12", "34"), ("1", "st"), ("x=", "=1"),
    ("foo", "_bar"), ("foo.", "bar()"), ("http:", "//a.b/c"), ("<|im_", "end|>"), ("<|im_end|", ">"), ("<", "think>"),
    ("<|im_end|>", "\u0338"), (">", "\u0338"), ("\u4f60", "\u597d"), ("\u795e", "\ufe00"), ("word", ""), ("", "word"), ("", ""),
    ("tab\t", "\ttab"), ("    ", "return"), ("   ", " return"), ("\u0627\u0644", "\u0633\u0644\u0627\u0645"), ("a\x00", "b"),
    ("a", "\x00b"), ("\x00", "\x00"), ("a\x00\x00", "\x00 b"), ("!", "!\n"), ("!\n", "\n"), ("...", "\r\n"), (" ", " "),
    ("\u3000", "x"), ("\u00a0", "x"), ("\ufeff", "x"), ("\u212b", "\u0323"), ("\u0958", "\u093c"), ("\u09c7", "\u09be"),
]

HANDWRITTEN = {
    "prose": [
        "Hello, world!", "The capital of France is Paris.", "It's John's; they'll say we've won, I'd bet. 'Twas DON'T I'M",
        "Is this document relevant to the query? Answer Yes or No.\n\nQuery: best pizza\nDocument: We serve pizza.\nAnswer:",
        "naïve façade coöperate Œuvre ﬁn ﬀ ß ẞ İstanbul ıI", "Zażółć gęślą jaźń", "Příliš žluťoučký kůň", "Ελληνικά ΐ ΰ",
        "Съешь ещё этих мягких французских булок", "今日はいい天気ですね。カタカナ ｶﾀｶﾅ", "敏捷的棕色狐狸跳过了懒狗。", "다람쥐 헌 쳇바퀴에 타고파",
        "นํ้าใจ กำลัง ที่นี่", "नमस्ते दुनिया क्षत्रिय", "שלום עולם שָׁלוֹם", "مرحبا بالعالم مَرْحَبًا", "ஸ்ரீ தமிழ்", "မြန်မာစာ", "ខ្មែរ", "ལྷ་ས་",
    ],
    "normal forms": [
        "\u00e9 e\u0301", "\u212b \u00c5 A\u030a", "\u1e9b\u0323", "\u0344", "\u0340\u0341", "\u2126\u212a", "\u037e\u1fef\u1ffd",
        "\ufb01 \ufb2a \ufb2b \ufb4f", "\u0958\u0959", "\u09cb\u09c7\u09be", "\u0b94\u0b92\u0bd7", "\u1100\u1161\u11a8", "\uac01",
        "\u1100\u1100\u1161\u1161\u11a8\u11a8", "\ud7a3\u11a8", "\uf900 \u8c48 \ufa10 \U0002f800 \U0002fa1d", "\u2adc \u226f >\u0338",
        "a\u0323\u0307 a\u0307\u0323 \u1ea1\u0307", "\u0f73\u0f75\u0f81", "\u1112\u1161\u11ab\u1100\u1173\u11af", "\u304b\u3099 \u304c",
        "\U0001d15e \U0001d1bb", "\U00011935\U00011930", "\U000110a5\U000110ba", "\u0cc6\u0cc2\u0cd5", "\u1b05\u1b35", "q\u0307\u0323",
    ],
    "emoji": [
        "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f3f3\ufe0f\u200d\U0001f308", "1\ufe0f\u20e3 #\ufe0f\u20e3",
        "\U0001f1fa\U0001f1f8\U0001f1e9\U0001f1ea", "\U0001f44b\U0001f3fb\U0001f44b\U0001f3ff", "\u2764\ufe0f\u200d\U0001f525",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\u00a9\u00ae\u2122", ":-) (╯°□°)╯︵ ┻━┻",
    ],
    "space": [
        "", " ", "  ", "\t", "\n", "\r", "\r\n", "\n\n\n", " \n ", "\x0b\x0c\x1c\x1d\x1e\x1f\x85", "\u00a0\u1680\u2000\u2001\u2009\u200a",
        "\u2028\u2029\u202f\u205f\u3000", "\u200b\u200c\u200d\u2060\ufeff\u180e", "a  b   c    d", "a \n\n b\r\n\r\nc", " lead", "trail ",
        "\t\tif x:\n\t\t\treturn  y  \n\n\n", "a\u00a0b", "a\u3000 b", "a\u2028b", "a\u0085b", "  \t \n\t  x", "a\x00 \n\x00b",
    ],
    "digits": [
        "0", "12", "123", "1234567890", "3.14159", "1,000,000", "1e-9", "0x1F", "٠١٢٣", "०१२", "Ⅷ ⅓ ² ① ⑩ ㊀", "２０２５年", "v1.2.3-rc4",
        "2025-11-25T09:05:03Z", "+1 (555) 010-9999", "𝟘𝟙𝟚 𝟎", "1st 2nd 3rd", "10 000", "99%", "$9.99",
    ],
    "code": [
        "def f(x):\n    return x**2  # square\n", "for (int i = 0; i < n; ++i) { a[i] += b[i]; }", "SELECT * FROM t WHERE a='b' AND c<>\"d\";",
        '{"a": [1, 2, {"b": null}], "c": "\\u00e9\\n"}', "<div class='x'>&nbsp;</div>", "#include <stdio.h>\r\nint main(){}\r\n",
        "x => x?.y ?? z!", "a&&b||!c", "λx.x ∘ ∀x∈ℝ", "\\frac{1}{2}\\alpha_{i}^{2}", "if err != nil {\n\t\treturn fmt.Errorf(\"%w\", err)\n\t}",
        "===", "-----", "/* ... */", "''''s''t", "_____x", "$$$$", "\\x00\\u0000\\0",
    ],
    "url": [
        "https://example.com/a/b?c=d&e=%20f#g", "mailto:user+tag@example.co.uk", "file:///C:/Program%20Files/", "www.例え.jp",
        "git@example.com:a/b.git", "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA==", "10.0.0.1:8080/[::1]", "C:\\Users\\x\\y.txt",
    ],
    "control": [chr(c) for c in range(0x20)] + [chr(c) for c in range(0x7f, 0xa0)] + [f"a{chr(c)}b" for c in range(0x20)] + [
        "\x00", "\x00\x00", "\x00a", "a\x00", "a\x00b", " \x00 ", "\x00\n", "\n\x00", "\x00\u0301", "e\x00\u0301", "\x001\x00", "'\x00s",
        "\x00<|im_end|>\x00", "<|im_\x00end|>", "\x00\ufdd0", "\ufdd0\x00\ufdd1\ufdd2", "\ufdd0\ufdd1\x00", "\x00\x01\x00\x01\x02",
        "\ufdd00\ufdd01\x00", "x\x00\x00\x00\x00y", "\x00" * 100, "\x1b[31mred\x1b[0m", "don\x00't", "日\x00本", "\ufdd0", "\ufdd0\ufdd1",
    ],
    "odd code points": [
        "\ue000\uf8ff", "\U000f0000\U0010fffd", "\ufdd0\ufdef", "\ufffe\uffff", "\U0001fffe\U0010ffff", "\ufffd\ufffd", "\ufff9\ufffa\ufffb",
        "\u0378\u0379", "\U000e0001", "\U0003ffff", "\ud7ff\ue000", "\u061c\u200e\u200f\u202a\u202e\u2066\u2069", "\u202eabc\u202c",
        "\U00030000\U0003134a", "\U0001e900\U0001e922", "\U00016a6e", "\u034f", "\ufe00\ufe0f\U000e0100",
    ],
    "specials": SPECIALS + [" " + s + " " for s in SPECIALS] + [s + s for s in SPECIALS[:4]] + [
        "<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
        "ok <|im_end|>\n<|im_start|>system", "<|im_end", "|im_end|>", "<|IM_END|>", "<| im_end |>", "<|im_end|", "<<|im_end|>>", "<|im_<|im_end|>end|>",
        "<|im_e\u0301nd|>", "\uff1c|im_end|\uff1e", "a<|im_end|>b", "é<|im_end|>\u0301", "<think", "<|endoftext|><|endoftext|>x", "<s></s>[INST]",
    ],
}

# Where random texts take their characters from: ranges of code points.
SCRIPTS = {
    "latin": [(0x20, 0x7e), (0xc0, 0x24f), (0x1e00, 0x1eff)], "greek and cyrillic": [(0x370, 0x3ff), (0x400, 0x52f), (0x1f00, 0x1fff)],
    "hebrew and arabic": [(0x591, 0x5f4), (0x600, 0x6ff), (0x20, 0x22), (0xfb1d, 0xfdcf)], "indic": [(0x900, 0xdff), (0x20, 0x20)],
    "thai to khmer": [(0xe01, 0xfda), (0x1000, 0x109f), (0x1780, 0x17f9)], "jamo": [(0x1100, 0x11ff), (0xac00, 0xac40), (0xa960, 0xa97c)],
    "hangul": [(0xac00, 0xd7a3), (0x20, 0x20)], "kana and han": [(0x3040, 0x30ff), (0x4e00, 0x9fff), (0x3000, 0x303f)],
    "compatibility": [(0xf900, 0xfad9), (0x2f800, 0x2fa1d), (0xff00, 0xffef), (0xfb00, 0xfb4f)], "marks": [(0x300, 0x36f), (0x61, 0x66), (0x41, 0x46)],
    "symbols": [(0x2000, 0x2bff), (0x20, 0x40)], "emoji": [(0x1f300, 0x1faff), (0x200d, 0x200d), (0xfe0f, 0xfe0f), (0x1f1e6, 0x1f1ff)],
    "space": [(0x9, 0xd), (0x20, 0x20), (0x20, 0x20), (0x85, 0x85), (0xa0, 0xa0), (0x2000, 0x200f), (0x2028, 0x202f), (0x61, 0x62)],
    "punctuation": [(0x20, 0x2f), (0x3a, 0x40), (0x5b, 0x60), (0x7b, 0x7e), (0xa, 0xa), (0x27, 0x27), (0x73, 0x74)], "digits": [(0x30, 0x39), (0x20, 0x2e)],
    "with NUL": [(0x0, 0x2), (0x0, 0x0), (0x61, 0x7a), (0x20, 0x21), (0xa, 0xa), (0x300, 0x304), (0xfdd0, 0xfdd2)], "private use": [(0xe000, 0xf8ff), (0x61, 0x7a)],
    "any": [(0x0, 0xd7ff), (0xe000, 0x10ffff)], "basic plane": [(0x0, 0xd7ff), (0xe000, 0xffff)], "supplementary": [(0x10000, 0x1ffff)],
}

LONG = [
    [["a", 100_000]], [[" ", 100_000]], [["\n", 100_000]], [["日本語", 11_000]], [["hello world ", 8_400]], [["\u0301", 807]], [["e", 1], ["\u0301", 807]],
    [["e", 1], ["\u0301\u0323", 400], ["x", 1]], [["1", 20_000]], [["<|im_end|>", 10_000]], [["\x00", 100_000]], [["a\x00", 50_000]], [["ab\n", 30_000]],
    [["\U0001f469\u200d", 5_000]], [["\uac00\u11a8", 10_000]], [["The quick brown fox. ", 4_800], ["\u0301", 1], [" end", 1]], [["=", 100_000]],
    [["A", 1_000], [" ", 1_000], ["b", 1]], [["\t", 5_000], ["x", 1]], [["\r\n", 5_000]], [["\ufdd0", 5_000], ["\x00", 1]], [["'s", 5_000]],
]

# Unicode's White_Space; its noncharacters; lengths of combining runs, about where
# normalizers keep buffers.
WHITE_SPACE = [*range(0x9, 0xe), 0x20, 0x85, 0xa0, 0x1680, *range(0x2000, 0x200b), 0x2028, 0x2029, 0x202f, 0x205f, 0x3000]
NONCHARACTERS = [*range(0xfdd0, 0xfdf0), *(plane << 16 | low for plane in range(17) for low in (0xfffe, 0xffff))]
MARK_RUNS = [2, 3, 4, 17, 18, 29, 30, 31, 32, 33, 64, 127, 128, 255, 256, 257, 511, 512, 513, 806]


class Dice:
    """Only random(), whose sequence for a seed Python promises to keep."""

    def __init__(self, seed):
        self.source = random.Random(seed)

    def below(self, n):
        return int(self.source.random() * n)

    def pick(self, things):
        return things[self.below(len(things))]

    def char(self, ranges):
        low, high = self.pick(ranges)
        return chr(low + self.below(high - low + 1))


def all_texts():
    for query, item in SEAMS:
        yield "seam", [[query, 1], [item, 1]]
        yield "seam", [[item, 1], [query, 1]]
    for category, texts in HANDWRITTEN.items():
        for text in texts:
            yield category, text
    yield from [("long", parts) for parts in LONG]
    dice = Dice(SEED)
    for category, ranges in SCRIPTS.items():
        for _ in range(60):
            yield category, "".join(dice.char(ranges) for _ in range(1 + dice.below(60)))
    snippets = [text for texts in HANDWRITTEN.values() for text in texts if text]
    for _ in range(500):
        yield "mixed", "".join(dice.pick(snippets) for _ in range(2 + dice.below(4)))[: 1 + dice.below(160)]
    for _ in range(250):  # a special token, or a piece of one, among other text
        special = dice.pick(SPECIALS)
        cut = special[dice.below(3) : len(special) - dice.below(3)]
        yield "mixed with specials", dice.pick(snippets) + cut + dice.pick(snippets) + dice.pick(SPECIALS) + dice.pick(snippets)
    for char in map(chr, WHITE_SPACE):
        yield from [("each white space", text) for text in (char, char * 2, f"a{char}b", f"a {char}b", f"a{char}\nb", f"1{char}.")]
    for char in map(chr, NONCHARACTERS):
        yield from [("noncharacters", text) for text in (f"a{char}b", f"{char}1\x00")]
    for form in normalizers.NFC(), normalizers.NFD(), normalizers.NFKC(), normalizers.NFKD():
        for text in HANDWRITTEN["prose"] + HANDWRITTEN["normal forms"]:
            yield f"in {type(form).__name__}", form.normalize_str(text)
    for times in MARK_RUNS:  # one mark, marks in order, and marks that normal forms reorder
        yield from [("mark runs", [["a", 1], [marks, times // len(marks)], ["b", 1]]) for marks in ("\u0301", "\u0323\u0301", "\u0301\u0323")]
    for _ in range(60):
        yield "thai", "".join(dice.char([(0xe01, 0xe3a), (0xe3f, 0xe5b), (0xe31, 0xe3a), (0xe47, 0xe4e), (0x20, 0x20)]) for _ in range(1 + dice.below(60)))
    for _ in range(120):  # the characters that an escape of NUL could be made of
        yield "NUL and marks", "".join(dice.pick(["\x00", "\ufdd0", "\ufdd1", "\ufdd2", "0", "1", "a", " "]) for _ in range(1 + dice.below(12)))


def small_texts():
    for text in [
        "", "hello", " hello hello", "hellohello", "hello\x00", "\x00\x00", "\x00\x00\x00", "\x00a\x00a", "\ufdd0\x00\x00a", "a  <left>  b", "a  <right>  b",
        "word words sword word", "word\x00word", "\x00 <left> \x00", "<right>\x00 ", "<right> \x00", "<normal>x<normal>", "<s>hello</s>", "<s>\x00</s>",
        "é e\u0301", "it's\n\n 12 34", "日本語", " ", "one text of more than four tokens",
    ]:
        yield "small", text
    dice = Dice(SEED)
    pieces = ["hello", " ", "<left>", "<right>", "word", "<normal>", "<s>", "\x00", "\x00\x00", "a", "\ufdd0", "\ufdd1", "é", "\n", ","]
    for _ in range(200):
        yield "small mixed", "".join(dice.pick(pieces) for _ in range(1 + dice.below(12)))
