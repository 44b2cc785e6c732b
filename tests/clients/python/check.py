"""Scores and reranks with the client that openapi-python-client has made, against a
running server."""

import struct
import sys

from scored_client import Client
from scored_client.api.default import models, pairs, profile_status, ranking, rerank, rerank_unversioned, score
from scored_client.models import (Error, PairsRequest, RankingPassage, RankingRequest, RerankQueryType1, RerankRequest, RerankResult, ScoreList, ScoreRequest,
                                  ScoreResult, TeiRequest)

client = Client(base_url=sys.argv[1])

scored = score.sync(client=client, body=ScoreRequest(model="m", query="Is it? ", items=["yes", "no"], label_token_ids=[1, 2, 3], apply_softmax=True, usage=True))
assert isinstance(scored, ScoreResult), scored
assert len(scored.scores) == 2 and all(abs(sum(row) - 1) < 1e-12 for row in scored.scores), scored
assert any(struct.unpack("f", struct.pack("f", p))[0] != p for row in scored.scores for p in row), "scores have but float32's digits"
assert scored.usage.prompt_tokens > 0 and scored.object_ == "scoring", scored

ids = score.sync(client=client, body=ScoreRequest(model="m", query=[1, 2], items=[[3], [4, 5]], label_token_ids=[7]))
assert len(ids.scores) == 2 and ids.usage is None, ids

salted = score.sync(client=client, body=ScoreRequest(model="m", query=[1, 2], items=[[3], [4, 5]], label_token_ids=[7], cache_salt="tenant"))
assert all(abs(a[0] - b[0]) <= 1e-4 * b[0] for a, b in zip(salted.scores, ids.scores)), (salted, ids)

refused = score.sync_detailed(client=client, body=ScoreRequest(model="m", query="q", items=["a"]))
assert refused.status_code == 400 and isinstance(refused.parsed, Error) and refused.parsed.message == "label_token_ids must be provided", refused

ranked = rerank.sync(client=client, body=RerankRequest(query="q", documents=["a", "b", "c"], top_n=2))
assert isinstance(ranked, RerankResult), ranked
assert len(ranked.results) == 2 and ranked.results[0].relevance_score >= ranked.results[1].relevance_score, ranked
assert ranked.results[0].document.text == "abc"[ranked.results[0].index] and ranked.meta.tokens.input_tokens == ranked.usage.prompt_tokens, ranked

ranks = rerank_unversioned.sync(client=client, body=TeiRequest(query="q", texts=["a", "b", "c"]))
assert sorted((r.index, r.score) for r in ranks) == sorted((r.index, r.relevance_score) for r in rerank.sync(client=client, body=RerankRequest(query="q", documents=["a", "b", "c"])).results), ranks

scores = pairs.sync(client=client, body=PairsRequest(text_1="q", text_2=["a", "b", "c"]))
assert isinstance(scores, ScoreList) and {d.index: d.score for d in scores.data} == {r.index: r.score for r in ranks}, scores

rankings = ranking.sync(client=client, body=RankingRequest(query=RerankQueryType1(text="q"), passages=[RankingPassage(text=t) for t in "abc"]))
assert [r.index for r in rankings.rankings] == [r.index for r in ranks], rankings

listed = models.sync(client=client)
assert len(listed.data) == 1 and listed.data[0].max_model_len > 0, listed
assert profile_status.sync(client=client).status == "idle"
