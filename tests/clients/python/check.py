"""Scores and reranks with the client that openapi-python-client has made, against a running server."""

import struct
import sys

from scored_client import Client
from scored_client.api.default import models, profile_status, rerank, score
from scored_client.models import Error, RerankRequest, RerankResult, ScoreRequest, ScoreResult

client = Client(base_url=sys.argv[1])

scored = score.sync(client=client, body=ScoreRequest(model="m", query="Is it? ", items=["yes", "no"], label_token_ids=[1, 2, 3], apply_softmax=True, usage=True))
assert isinstance(scored, ScoreResult), scored
assert len(scored.scores) == 2 and all(abs(sum(row) - 1) < 1e-12 for row in scored.scores), scored
assert any(struct.unpack("f", struct.pack("f", p))[0] != p for row in scored.scores for p in row), "scores have but float32's digits"
assert scored.usage.prompt_tokens > 0 and scored.object_ == "scoring", scored

ids = score.sync(client=client, body=ScoreRequest(model="m", query=[1, 2], items=[[3], [4, 5]], label_token_ids=[7]))
assert len(ids.scores) == 2 and ids.usage is None, ids

refused = score.sync_detailed(client=client, body=ScoreRequest(model="m", query="q", items=["a"]))
assert refused.status_code == 400 and isinstance(refused.parsed, Error) and refused.parsed.message == "label_token_ids must be provided", refused

ranked = rerank.sync(client=client, body=RerankRequest(query="q", documents=["a", "b", "c"], top_n=2))
assert isinstance(ranked, RerankResult), ranked
assert len(ranked.results) == 2 and ranked.results[0].relevance_score >= ranked.results[1].relevance_score, ranked
assert ranked.results[0].document.text == "abc"[ranked.results[0].index] and ranked.meta.tokens.input_tokens == ranked.usage.prompt_tokens, ranked

listed = models.sync(client=client)
assert len(listed.data) == 1 and listed.data[0].max_model_len > 0, listed
assert profile_status.sync(client=client).status == "idle"
