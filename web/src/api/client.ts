// The only place that knows the server's URLs. Everything else calls these functions and gets types back.

import type {
  AddedDeviceView,
  AddedKeyView,
  AddedTokenView,
  AlertChannelView,
  AlertingView,
  AlertListView,
  AlertPatch,
  AlertView,
  AttemptView,
  AuditListView,
  BackupsView,
  ChannelKindView,
  ChannelPatch,
  ChannelTest,
  DeliveryListView,
  DeviceDetailView,
  DevicePatch,
  DeviceView,
  DryRunForm,
  DryRunView,
  ErrorGroupDetailView,
  ErrorGroupListView,
  ErrorGroupPatch,
  ErrorListView,
  ErrorRecordView,
  ErrorView,
  FleetAtView,
  FleetEventListView,
  KeyView,
  LoginForm,
  MyAccountView,
  NewChannel,
  NewDevice,
  NewKeyForm,
  NewPause,
  NewPerson,
  NewRule,
  NewToken,
  NewTwoFactorView,
  OutageListView,
  PasswordForm,
  PausePatch,
  PauseView,
  PersonPatch,
  PersonView,
  PricesView,
  RecoveryCodesView,
  RetentionView,
  RuleKindView,
  RulePatch,
  RuleView,
  SamplesView,
  SecurityView,
  SessionView,
  SetupForm,
  StatusPageView,
  StatusView,
  TokenView,
  TrendsView,
  TrendView,
  TriedView,
  UptimeView,
  UsageGroupView,
  UsageSummaryView,
} from './types';

/** Why a request did not succeed. `code` is the server's word, or `network` when no answer came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly fields: Record<string, string> = {},
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

let csrf: string | null = null;
let onSignedOut: () => void = () => {};

/** Called when the server says that the login has ended, wherever that happens. */
export function whenSignedOut(then: () => void): void {
  onSignedOut = then;
}

/** The token that every changing request carries; it comes with the session. */
export function setCsrf(token: string | null): void {
  csrf = token;
}

interface Options {
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** Set on the second try. */
  again?: boolean;
  /** A 401 of the login form means "wrong password", not "your login has ended". */
  entering?: boolean;
}

async function request<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (method !== 'GET' && csrf !== null) headers['X-CSRF-Token'] = csrf;
  const init: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store' };
  if (options.body !== undefined) {
    headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(options.body);
  }
  if (options.signal) init.signal = options.signal;
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw new ApiError(0, 'network', 'no answer from the server');
  }
  if (response.ok) {
    if (response.status === 204) return undefined as T;
    return (await response.json()) as T;
  }
  const error = await errorOf(response);
  if (error.code === 'csrf' && !options.again) {
    // Another tab has logged in anew: the cookie is fine, only the token that goes with it is old.
    setCsrf((await getSession()).csrf);
    return request(method, path, { ...options, again: true });
  }
  if (response.status === 401 && !options.entering) onSignedOut();
  throw error;
}

async function errorOf(response: Response): Promise<ApiError> {
  const wait = Number.parseInt(response.headers.get('Retry-After') ?? '', 10);
  const retry = Number.isFinite(wait) ? wait : null;
  try {
    const { error } = (await response.json()) as ErrorView;
    return new ApiError(response.status, error.code, error.message, error.fields ?? {}, retry);
  } catch {
    // A proxy in between answers with a page of its own.
    return new ApiError(response.status, `http_${response.status}`, response.statusText, {}, retry);
  }
}

const device = (id: string): string => `/api/v1/devices/${encodeURIComponent(id)}`;

export const getSession = (): Promise<SessionView> => request('GET', '/api/v1/session');
export const setUp = (form: SetupForm): Promise<SessionView> => request('POST', '/api/v1/setup', { body: form, entering: true });
export const logIn = (form: LoginForm): Promise<SessionView> => request('POST', '/api/v1/login', { body: form, entering: true });
export const logOut = (): Promise<void> => request('POST', '/api/v1/logout', { entering: true });
export const getDevices = (zone: string): Promise<DeviceView[]> => request('GET', `/api/v1/devices?${zoned(zone)}`);
export const getDevice = (id: string, signal?: AbortSignal): Promise<DeviceDetailView> => request('GET', device(id), { signal });
export const addDevice = (form: NewDevice): Promise<AddedDeviceView> => request('POST', '/api/v1/devices', { body: form });
export const patchDevice = (id: string, patch: DevicePatch): Promise<DeviceView> => request('PATCH', device(id), { body: patch });
export const removeDevice = (id: string): Promise<void> => request('DELETE', device(id));
export const rotateKey = (id: string, overlapHours: number): Promise<AddedDeviceView> => request('POST', `${device(id)}/rotate-key`, { body: { overlap_h: overlapHours } });

const zoned = (zone: string, more: Record<string, string> = {}): string => new URLSearchParams({ ...more, tz: zone }).toString();

export const getFleetAt = (at: Date, zone: string, signal: AbortSignal): Promise<FleetAtView> =>
  request('GET', `/api/v1/fleet/at?${zoned(zone, { time: at.toISOString() })}`, { signal });
export async function getTrends(ids: readonly string[], at: Date | null, zone: string): Promise<TrendView[]> {
  const time = at ? { time: at.toISOString() } : {};
  const view = await request<TrendsView>('GET', `/api/v1/fleet/trends?${zoned(zone, { devices: ids.join(','), ...time })}`);
  return view.devices;
}
export const getUsageSummary = (zone: string, filter: Record<string, string> = {}): Promise<UsageSummaryView> => request('GET', `/api/v1/usage/summary?${zoned(zone, filter)}`);
export const getUsage = (filter: Record<string, string>, zone: string, signal?: AbortSignal): Promise<UsageGroupView[]> =>
  request('GET', `/api/v1/usage?${zoned(zone, filter)}`, { signal });
export const getEvents = (filter: Record<string, string>, signal?: AbortSignal): Promise<FleetEventListView> =>
  request('GET', `/api/v1/events?${new URLSearchParams(filter)}`, { signal });

const user = (name: string): string => `/api/v1/users/${encodeURIComponent(name)}`;

export const getUsers = (): Promise<PersonView[]> => request('GET', '/api/v1/users');
export const addUser = (form: NewPerson): Promise<PersonView> => request('POST', '/api/v1/users', { body: form });
export const patchUser = (name: string, patch: PersonPatch): Promise<PersonView> => request('PATCH', user(name), { body: patch });
export const removeUser = (name: string): Promise<void> => request('DELETE', user(name));

export const getMe = (): Promise<MyAccountView> => request('GET', '/api/v1/me');
export const changePassword = (form: PasswordForm): Promise<void> => request('PUT', '/api/v1/me/password', { body: form });
export const beginTwoFactor = (): Promise<NewTwoFactorView> => request('POST', '/api/v1/me/two-factor');
export const confirmTwoFactor = (code: string): Promise<RecoveryCodesView> => request('PUT', '/api/v1/me/two-factor', { body: { code } });
export const renewRecoveryCodes = (code: string): Promise<RecoveryCodesView> => request('POST', '/api/v1/me/two-factor/recovery-codes', { body: { code } });
export const removeTwoFactor = (code: string): Promise<void> => request('DELETE', '/api/v1/me/two-factor', { body: { code } });

export const getTokens = (): Promise<TokenView[]> => request('GET', '/api/v1/tokens');
export const addToken = (form: NewToken): Promise<AddedTokenView> => request('POST', '/api/v1/tokens', { body: form });
export const revokeToken = (id: string): Promise<void> => request('DELETE', `/api/v1/tokens/${encodeURIComponent(id)}`);

export const getKeys = (): Promise<KeyView[]> => request('GET', '/api/v1/keys');
export const addKey = (form: NewKeyForm): Promise<AddedKeyView> => request('POST', '/api/v1/keys', { body: form });
export const revokeKey = (id: string): Promise<void> => request('DELETE', `/api/v1/keys/${encodeURIComponent(id)}`);

export const getPrices = (): Promise<PricesView> => request('GET', '/api/v1/prices');
export const getRetention = (): Promise<RetentionView> => request('GET', '/api/v1/retention');
export const getBackups = (): Promise<BackupsView> => request('GET', '/api/v1/backups');
export const makeBackup = (): Promise<BackupsView> => request('POST', '/api/v1/backups');
export const getAttempts = (limit: number): Promise<AttemptView[]> => request('GET', `/api/v1/connection-attempts?limit=${limit}`);
export const getStatusPage = (): Promise<StatusPageView> => request('GET', '/api/v1/status-page');
export const putStatusPage = (page: StatusPageView): Promise<StatusPageView> => request('PUT', '/api/v1/status-page', { body: page });
/** What everybody may see; needs no login. */
export const getStatus = (): Promise<StatusView> => request('GET', '/api/v1/status', { entering: true });
/** Where the API is described. */
export const API_DOCS = '/api/docs';

export const METRICS = [
  'cpu_pct',
  'memory_used_bytes',
  'memory_total_bytes',
  'disk_used_bytes',
  'disk_total_bytes',
  'network_up_bytes_per_s',
  'network_down_bytes_per_s',
  'gateway_rss_bytes',
  'gateway_event_loop_ms',
  'gateway_cpu_pct',
  'load1',
  'temperature_celsius',
  'swap_used_bytes',
] as const;
export type Metric = (typeof METRICS)[number];

export function getSamples(id: string, from: Date, to: Date, points: number, signal: AbortSignal): Promise<SamplesView> {
  const query = new URLSearchParams({ from: from.toISOString(), to: to.toISOString(), points: String(points), metrics: METRICS.join(',') });
  return request('GET', `${device(id)}/samples?${query}`, { signal });
}

/** A query of what is known; what is null or empty is left out. */
function queryOf(params: Readonly<Record<string, string | number | null | undefined>>): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) if (value !== null && value !== undefined && value !== '') query.set(key, String(value));
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

/** Whose usage: of a device, and of a model as groups name it, `provider/model`. */
export interface UsageOf {
  device: string | null;
  model: string | null;
}

const usageOf = ({ device: id, model }: UsageOf): Record<string, string | null> => {
  const slash = model?.indexOf('/') ?? -1;
  return { device: id, provider: model === null || slash < 0 ? null : model.slice(0, slash), model: model === null ? null : model.slice(slash + 1) };
};

const iso = (at: number): string => new Date(at).toISOString();

export const getCost = (of: UsageOf, ask: { from: number; to: number; by: string; tz: string; limit?: number }, signal: AbortSignal): Promise<UsageGroupView[]> =>
  request('GET', `/api/v1/usage${queryOf({ ...usageOf(of), ...ask, from: iso(ask.from), to: iso(ask.to) })}`, { signal });
export const getCostSummary = (of: UsageOf, tz: string, signal: AbortSignal): Promise<UsageSummaryView> => request('GET', `/api/v1/usage/summary${queryOf({ ...usageOf(of), tz })}`, { signal });
/** A file of each quarter's usage. */
export const usageFile = (format: 'csv' | 'jsonl', of: UsageOf, from: number, to: number): string => `/api/v1/usage/export${queryOf({ format, device: of.device, from: iso(from), to: iso(to) })}`;

type Params = Readonly<Record<string, string | number | null | undefined>>;

export const getErrors = (params: Params, signal: AbortSignal): Promise<ErrorListView> => request('GET', `/api/v1/errors${queryOf(params)}`, { signal });
export const getError = (no: string, signal: AbortSignal): Promise<ErrorRecordView> => request('GET', `/api/v1/errors/${encodeURIComponent(no)}`, { signal });
export const getErrorGroups = (params: Params, signal?: AbortSignal): Promise<ErrorGroupListView> => request('GET', `/api/v1/errors/groups${queryOf(params)}`, { signal });
export const getGroup = (fingerprint: string, signal: AbortSignal): Promise<ErrorGroupDetailView> => request('GET', `/api/v1/errors/groups/${encodeURIComponent(fingerprint)}`, { signal });
export const patchGroup = (fingerprint: string, patch: ErrorGroupPatch): Promise<ErrorGroupDetailView> => request('PATCH', `/api/v1/errors/groups/${encodeURIComponent(fingerprint)}`, { body: patch });
export const errorsFile = (format: 'csv' | 'jsonl', params: Params): string => `/api/v1/errors/export${queryOf({ ...params, format })}`;

export const getOutages = (params: Params, signal?: AbortSignal): Promise<OutageListView> => request('GET', `/api/v1/outages${queryOf(params)}`, { signal });
export const getUptime = (id: string, params: Params, signal?: AbortSignal): Promise<UptimeView[]> => request('GET', `${device(id)}/uptime${queryOf(params)}`, { signal });
export const getSecurity = (signal: AbortSignal): Promise<SecurityView[]> => request('GET', '/api/v1/security', { signal });
export const getAuditLog = (params: Params, signal: AbortSignal): Promise<AuditListView> => request('GET', `/api/v1/audit-log${queryOf(params)}`, { signal });
export const auditLogFile = (format: 'csv' | 'jsonl', params: Params): string => `/api/v1/audit-log/export${queryOf({ ...params, format })}`;
export const getAlerts = (params: Params, signal?: AbortSignal): Promise<AlertListView> => request('GET', `/api/v1/alerts${queryOf(params)}`, { signal });
export const patchAlert = (no: number, patch: AlertPatch): Promise<AlertView> => request('PATCH', `/api/v1/alerts/${no}`, { body: patch });

export const getRules = (signal?: AbortSignal): Promise<RuleView[]> => request('GET', '/api/v1/rules', { signal });
export const addRule = (form: NewRule): Promise<RuleView> => request('POST', '/api/v1/rules', { body: form });
export const patchRule = (no: number, patch: RulePatch): Promise<RuleView> => request('PATCH', `/api/v1/rules/${no}`, { body: patch });
export const removeRule = (no: number): Promise<void> => request('DELETE', `/api/v1/rules/${no}`);
export const getRuleKinds = (signal?: AbortSignal): Promise<RuleKindView[]> => request('GET', '/api/v1/rule-kinds', { signal });
export const dryRun = (form: DryRunForm, signal: AbortSignal): Promise<DryRunView> => request('POST', '/api/v1/rules/dry-run', { body: form, signal });

const channel = (id: string): string => `/api/v1/channels/${encodeURIComponent(id)}`;

export const getChannels = (signal?: AbortSignal): Promise<AlertChannelView[]> => request('GET', '/api/v1/channels', { signal });
export const addChannel = (form: NewChannel): Promise<AlertChannelView> => request('POST', '/api/v1/channels', { body: form });
export const patchChannel = (id: string, patch: ChannelPatch): Promise<AlertChannelView> => request('PATCH', channel(id), { body: patch });
export const removeChannel = (id: string): Promise<void> => request('DELETE', channel(id));
export const getChannelKinds = (signal?: AbortSignal): Promise<ChannelKindView[]> => request('GET', '/api/v1/channel-kinds', { signal });
/** Sends a test with what is saved. */
export const testChannel = (id: string): Promise<TriedView> => request('POST', `${channel(id)}/test`);
/** Sends a test with what is not saved yet. */
export const testSettings = (form: ChannelTest): Promise<TriedView> => request('POST', '/api/v1/channels/test', { body: form });
export const getDeliveries = (params: Params, signal?: AbortSignal): Promise<DeliveryListView> => request('GET', `/api/v1/deliveries${queryOf(params)}`, { signal });

export const getPauses = (signal?: AbortSignal): Promise<PauseView[]> => request('GET', '/api/v1/pauses', { signal });
export const addPause = (form: NewPause): Promise<PauseView> => request('POST', '/api/v1/pauses', { body: form });
export const patchPause = (no: number, patch: PausePatch): Promise<PauseView> => request('PATCH', `/api/v1/pauses/${no}`, { body: patch });
export const removePause = (no: number): Promise<void> => request('DELETE', `/api/v1/pauses/${no}`);
export const getAlerting = (signal?: AbortSignal): Promise<AlertingView> => request('GET', '/api/v1/alerting', { signal });
export const putAlerting = (settings: AlertingView): Promise<AlertingView> => request('PUT', '/api/v1/alerting', { body: settings });

/** Address of the live socket, on the host that served the page. */
export function liveUrl(tz: string, at: { protocol: string; host: string } = location): string {
  return `${at.protocol === 'https:' ? 'wss' : 'ws'}://${at.host}/live?${new URLSearchParams({ tz })}`;
}
