// Scores and reranks with the types that openapi-typescript has made, against a running
// server.
import createClient from 'openapi-fetch'
import type { components, paths } from './api.js'

declare const process: { argv: string[] }

function check(ok: unknown, got: unknown): asserts ok {
  if (!ok) throw new Error(JSON.stringify(got))
}

const client = createClient<paths>({ baseUrl: process.argv[2] ?? '' })

const request: components['schemas']['ScoreRequest'] = { model: 'm', query: 'Is it? ', items: ['yes', 'no'], label_token_ids: [1, 2, 3], apply_softmax: true, item_first: false, usage: true }
const scored = await client.POST('/v1/score', { body: request })
check(scored.data, scored.error)
const rows: (number[] | null)[] = scored.data.scores
check(rows.length === 2 && rows.every(row => row && Math.abs(row.reduce((a, b) => a + b) - 1) < 1e-12), scored.data)
check((scored.data.usage?.prompt_tokens ?? 0) > 0, scored.data)

const salted = await client.POST('/v1/score', { body: { ...request, cache_salt: 'tenant' } })
check(salted.data?.scores.length === 2, salted.error)

const refused = await client.POST('/v1/score', { body: { ...request, label_token_ids: null } })
check(refused.response.status === 400 && refused.error && 'message' in refused.error && refused.error.message === 'label_token_ids must be provided', refused.error)

const ranked = await client.POST('/v1/rerank', { body: { query: 'q', documents: ['a', { text: 'b' }, 'c'], top_n: 2 } })
check(ranked.data, ranked.error)
const [first, second] = ranked.data.results
check(first && second && first.relevance_score >= second.relevance_score && first.document?.text === 'abc'[first.index], ranked.data)
check(ranked.data.meta.tokens.input_tokens === ranked.data.usage.prompt_tokens, ranked.data)

const ranks = await client.POST('/rerank', { body: { query: 'q', texts: ['a', 'b', 'c'] } })
check(Array.isArray(ranks.data) && ranks.data.length === 3 && ranks.data[0]?.index === first.index, ranks.error)
const pairs = await client.POST('/score', { body: { text_1: 'q', text_2: ['a', 'b', 'c'] } })
check(pairs.data?.data[first.index]?.score === first.relevance_score, pairs.error)

const listed = await client.GET('/v1/models')
check(listed.data?.data.length === 1, listed.error)
const status = await client.GET('/profile_status')
check(status.data?.status === 'idle', status.error)
