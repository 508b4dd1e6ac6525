/** What a publisher sends. */
export interface EventInput {
  /** 1 to 8 segments of A-Z a-z 0-9 _ - joined by dots. */
  topic: string
  data: unknown
  /** What the event is about. Of each topic and key, Kafka keeps the newest event beyond the replay window. */
  key?: string
  /** Names the event: sent twice with one id within an hour, it is in the feed once. Made when neither id nor cursor is given. */
  id?: string
  /** The publisher's own counter; arrives as source_cursor. */
  cursor?: number
  /** RFC 3339. */
  ts?: string
}

/** An event as it is delivered and read. */
export interface EssEvent {
  topic: string
  cursor: number
  prev_cursor?: number
  compacted?: boolean
  id: string
  key?: string
  ts: string
  source_cursor?: number
  data: unknown
}

/** An event of a subscriber with `format: cloudevents`. */
export interface CloudEvent {
  specversion: '1.0'
  id: string
  source: string
  /** The topic. */
  type: string
  /** The key. */
  subject?: string
  time?: string
  /** cursor and prev_cursor, as 20 digits. */
  sequence?: string
  essprevcursor?: string
  esscompacted?: boolean
  esssourcecursor?: string
  datacontenttype?: string
  data?: unknown
}

/** Of a subscriber with `heartbeat`: it has got everything up to `cursor`, and `prev_cursor` was its newest event. */
export interface Heartbeat {
  heartbeat: true
  cursor: number
  prev_cursor: number
  ts: string
}

/** Of a subscriber with `handshake`: answer it with a 2xx. */
export interface Handshake {
  handshake: string
  subscriber: string
}

/** Any body of a webhook: an event, a batch of events, a heartbeat or a handshake. */
export type Body = EssEvent | CloudEvent | { events: EssEvent[] } | CloudEvent[] | Heartbeat | Handshake

export interface Published {
  cursor: number
  id: string
  duplicate?: boolean
}

export interface CallOptions {
  signal?: AbortSignal
  timeoutMs?: number
  /** How often a call is made again after 429, 502, 503, 504 or a network error. */
  retries?: number
}

export interface ReadOptions {
  topics?: string | string[]
  /** Like a subscriber's. */
  filter?: Filter
  /** Of one page. */
  limit?: number
  signal?: AbortSignal
}

/** A condition on a value, as in Amazon EventBridge's event patterns. */
export type FilterCondition =
  | string
  | number
  | boolean
  | null
  | { prefix: string | { 'equals-ignore-case': string } }
  | { suffix: string | { 'equals-ignore-case': string } }
  | { 'equals-ignore-case': string }
  | { wildcard: string }
  | { 'anything-but': unknown }
  | { numeric: Array<string | number> }
  | { exists: boolean }
  | { cidr: string }
  | { exactly: string }

export type FilterNode = FilterCondition[] | { [name: string]: FilterNode | FilterNode[] }

/** Conditions on an event's content: { data: { state: ['MD'] } }. */
export interface Filter {
  topic?: FilterCondition[]
  key?: FilterCondition[]
  id?: FilterCondition[]
  source_cursor?: FilterCondition[]
  data?: FilterNode
  /** At least two, one of which must match. */
  $or?: Filter[]
}

/** A topic of AWS SNS. Without credentials those of the dispatcher's environment are used. */
export interface Sns {
  topic_arn: string
  /** The ARN's unless set. */
  region?: string
  /** AWS's own for the region unless set. */
  endpoint?: string
  access_key_id?: string
  secret_access_key?: string
  session_token?: string
}

/** PEM texts. */
export interface Tls {
  certificate?: string
  /** Of the certificate, without a passphrase; never shown. */
  key?: string
  /** In place of the system's. */
  ca?: string
}

/** The client credentials grant of RFC 6749. */
export interface Oauth2 {
  token_url: string
  client_id: string
  /** Never shown. */
  client_secret: string
  scope?: string
  audience?: string
}

export interface BatchLimits {
  /** 1 to 1,000; 100 unless set. */
  max_events?: number
  /** 1KiB to 4MiB, as a number or such as 256KiB; 1MiB unless set. */
  max_bytes?: number | string
  /** How long the first event waits for others: 0s to 60s, 0s unless set. */
  max_wait?: string
}

export interface SubscriberSpec {
  /** Either this or sns. A subscriber with neither is pulled: see next and ack. */
  url?: string
  sns?: Sns
  topics: string[]
  /** Excludes events of these topics by their content. */
  filter?: Filter
  id?: string
  secret?: string
  throttle?: number
  from?: 'end' | 'beginning' | number | string
  ordering?: 'strict' | 'key' | 'none'
  max_in_flight?: number
  /** Several events in one request. */
  batch?: BatchLimits
  /** Durations: 250ms, 15s, 1h30m, 7d. */
  timeout?: string
  backoff_min?: string
  backoff_max?: string
  /** Failing time after which the subscriber is disabled. */
  disable_after?: string
  max_attempts?: number
  /** dead_letter: every event is given up after its attempts, also while the endpoint fails. */
  exhausted?: 'wait' | 'dead_letter'
  /** Finds the rate that the endpoint takes, with `throttle` as the ceiling. */
  adaptive?: boolean
  /** Nothing is delivered before the endpoint has answered a handshake. */
  handshake?: boolean
  /** How long an endpoint gets nothing before ESS sends it a heartbeat, which says that no event is missing. */
  heartbeat?: string
  /** When the subscriber is disabled. */
  expires?: string
  /** Sent with each delivery. */
  headers?: Record<string, string>
  /** A client certificate, a private CA, or both. */
  tls?: Tls
  /** How ESS gets the access token that the endpoint wants. */
  oauth2?: Oauth2
  description?: string
  /** cloudevents: CloudEvents 1.0, structured JSON. */
  format?: 'ess' | 'cloudevents'
  /** id: without data, which the receiver fetches by replay. */
  content?: 'full' | 'id'
  /** ed25519: by ESS's own key, whose public half is at /.well-known/jwks.json. */
  signatures?: Array<'hmac' | 'ed25519'>
  owner?: string
  [field: string]: unknown
}

export interface Registration {
  id: string
  /** Shown this once. A pulled subscriber has none. */
  secret?: string
  whsec?: string
  /** Of a pulled subscriber: the path of the call that gives its events. */
  next?: string
  /** The subscriber's access token, shown this once. */
  token: string
  cursor: number
  /** What is odd about the spec, which is in force all the same. */
  warnings?: string[]
}

/** Continue from `cursor`; `more`: at once. */
export interface Page {
  events: EssEvent[]
  cursor: number
  more: boolean
}

export interface ClientOptions {
  /** ESS_URL, or http://127.0.0.1:8080. */
  url?: string
  /** ESS_TOKEN. */
  token?: string
  /** Of one attempt; 10 s unless set. */
  timeoutMs?: number
  /** 8 unless set. */
  retries?: number
}

export interface Client {
  /** Resolves once the event is in Kafka, on every in-sync replica. */
  publish(event: EventInput, options?: CallOptions): Promise<Published>
  /** 1 to 1,000 events, all or (after a check) none. */
  publishBatch(events: EventInput[], options?: CallOptions): Promise<Published[]>
  /** Every event above `since` (0 unless set), up to `until` or the end. */
  replay(options?: ReadOptions & { since?: number; until?: number }): AsyncGenerator<EssEvent, void, undefined>
  /** Every event above `cursor` (the end unless set), and then each as it comes; ends with `signal`. */
  poll(options?: ReadOptions & { cursor?: number; waitS?: number }): AsyncGenerator<EssEvent, never, undefined>
  /** The next events of a pulled subscriber. Waits up to `waitS` seconds (0 unless set) for a first event. */
  next(id: string, options?: { limit?: number; waitS?: number; signal?: AbortSignal }): Promise<Page>
  /** Acknowledges everything up to `cursor`: ESS does not give it again. Resolves with the position, once it is in Kafka. */
  ack(id: string, cursor: number, options?: CallOptions): Promise<number>
  /**
   * Yields each event of a pulled subscriber. Ask for the next event once the one before it is handled: a page is acknowledged when the
   * event after it is asked for. Ends with `signal`.
   */
  consume(id: string, options?: { limit?: number; waitS?: number; signal?: AbortSignal }): AsyncGenerator<EssEvent, never, undefined>
  /** Registers a webhook. */
  subscribe(spec: SubscriberSpec, options?: CallOptions): Promise<Registration>
}

export function createClient(options?: ClientOptions): Client

/** Publishes one event with the client that ESS_URL and ESS_TOKEN describe. */
export function publish(event: EventInput, options?: CallOptions): Promise<Published>

export class EssError extends Error {
  /** Of the answer; 0: there was none. */
  readonly status: number
  readonly title?: string
  readonly detail?: string
  /** The member, header or parameter to blame. */
  readonly field?: string
  /** The event of a batch to blame. */
  readonly index?: number
  readonly id?: string
  readonly cursor?: number
  /** The same call may succeed later. */
  readonly retryable: boolean
  readonly retryAfterMs: number
}

type HeadersLike = { get(name: string): string | null } | Record<string, string | string[] | undefined>

/** What ESS serves at /.well-known/jwks.json. Keys of other kinds than Ed25519 are passed over. */
export interface JwkSet {
  keys: Array<{ kty?: string; crv?: string; x?: string; kid?: string; [member: string]: unknown }>
}

/**
 * Checks a webhook's signature (constant time) and age, and returns its body, parsed; throws an EssError. What a subscriber asks for is
 * what it gets: with `format`, `batch`, `heartbeat` or `handshake` name the type, as in `verify<Body>(…)`.
 */
export function verify<B extends Body = EssEvent>(
  rawBody: Uint8Array | string,
  headers: HeadersLike,
  /** Or ESS's public keys, for a subscriber with signatures: ed25519; or several, of which one must fit: during a rotation. */
  secret: string | JwkSet | Array<string | JwkSet>,
  options?: { toleranceS?: number; now?: number }
): B

export class GapDetector {
  constructor(options?: {
    /** The newest cursor that was handled before. */
    cursor?: number
    fetchMissing?: (gap: { since: number; until: number }) => AsyncIterable<EssEvent> | Iterable<EssEvent>
  })
  /** The newest cursor that was handled. */
  readonly cursor: number | undefined
  gapBefore(event: EssEvent | CloudEvent | Heartbeat): { since: number; until: number } | null
  /**
   * The events to handle now, in order, each once. A redriven one, which has no prev_cursor, and one that came with the header
   * X-ESS-Replay (`replay`) are always given. A batch gives its events; a heartbeat gives those that it shows to be missing, and moves
   * `cursor`; a handshake gives none. With `format: cloudevents` name the type: `take<CloudEvent | EssEvent>(…)`.
   */
  take<E extends EssEvent | CloudEvent = EssEvent>(body: Body, options?: { replay?: boolean }): AsyncGenerator<E, void, undefined>
}
