// Generated from dashboard/src/views.rs by `just gen`. Do not change it by hand; a test compares.

export type SessionView = { 
/**
 * Nobody has been set up yet: follow the link that the server printed.
 */
setup_needed: boolean, 
/**
 * Who is signed in.
 */
user: UserView | null, 
/**
 * What every changing request must send as `X-CSRF-Token`.
 */
csrf: string | null, 
/**
 * The server's version.
 */
version: string, 
/**
 * The server's clock.
 */
server_time: string, };

export type UserView = { name: string, role: "admin" | "viewer", 
/**
 * Their login asks for a code.
 */
two_factor: boolean, };

export type SetupForm = { token: string, name: string, password: string, };

export type LoginForm = { name: string, password: string, 
/**
 * Of the authenticator app, or a recovery code; asked for with `two_factor_needed`.
 */
code?: string, };

export type DeviceView = { id: string, name: string, kind: "agent" | "local", tags: Array<string>, online: boolean, 
/**
 * When it came or went; absent when it was never heard of.
 */
since: string | null, last_seen_at: string | null, 
/**
 * Why it is offline.
 */
reason: string | null, agent_version: string | null, created_at: string, 
/**
 * Grows with each change of name or tags by people: send it with a change, and of two at once the second is told.
 */
rev: number, latest: LatestView | null, 
/**
 * Absent while its agent has not looked.
 */
openclaw: OpenClawView | null, 
/**
 * When its newest error or crash happened; warnings do not count.
 */
last_error_at: string | null, 
/**
 * By how many seconds its clock is behind the server's (negative: ahead); absent when that is little.
 */
clock_skew_s: number | null, 
/**
 * By the viewer's days; absent while nothing was ever counted.
 */
usage: DeviceUsageView | null, };

export type LatestView = { at: string, cpu_pct: number | null, memory_used_bytes: number | null, memory_total_bytes: number | null, disk_used_bytes: number | null, disk_total_bytes: number | null, network_up_bytes_per_s: number | null, network_down_bytes_per_s: number | null, };

export type OpenClawView = { 
/**
 * Of the gateway that is worst off.
 */
state: "not_installed" | "stopped" | "starting" | "running" | "degraded" | "hung" | "draining" | "unknown", version: string | null, 
/**
 * The version on disk, where it is not the one that runs: a restart is due.
 */
restart_for: string | null, 
/**
 * What fails or is waited for, in OpenClaw's own words.
 */
failing: Array<string>, 
/**
 * Why the agent sees less than there is, and what to do about it.
 */
problem: string | null, 
/**
 * How the gateway that is worst off ended, when it does not run.
 */
exit: ExitView | null, 
/**
 * Channels of all gateways; absent when none is known.
 */
channels: ChannelCountView | null, };

export type ExitView = { 
/**
 * `clean_stop`, `startup_failed`, `crashed` or `unknown`.
 */
outcome: "clean_stop" | "startup_failed" | "crashed" | "unknown", at: string | null, 
/**
 * In OpenClaw's words, redacted.
 */
reason: string | null, };

export type ChannelCountView = { 
/**
 * Connected, or not known not to be.
 */
up: number, all: number, };

export type DeviceUsageView = { today: UsageView, yesterday: UsageView, total: UsageView, };

export type UsageView = { input: number, output: number, cache_read: number, cache_write: number, 
/**
 * The sum of the four above.
 */
tokens: number, 
/**
 * Spent: recorded by OpenClaw, and estimated where it knew no price; without what a flat-rate plan covers. Null when
 * nothing of it has a price.
 */
cost_usd: number | null, 
/**
 * Tokens that nobody knows a price of.
 */
unpriced_tokens: number, 
/**
 * What the table of prices makes of tokens that OpenClaw knew no price of.
 */
estimated_usd: number, 
/**
 * What tokens that a flat-rate plan covers would have cost; not spent.
 */
flat_rate_usd: number, turns: number, error_turns: number, 
/**
 * Answers for which the provider reported no usage: spent, and not measured.
 */
unmetered_turns: number, 
/**
 * Of `output`, what the model thought.
 */
reasoning: number, };

export type UsageGroupView = { 
/**
 * The name: `2026-11-20T07:00:00+01:00` of an hour or quarter, `2026-11-20` of a day or of a week's Monday,
 * `2026-11`, `provider/model`, a device's id; `other` for what the limit left over.
 */
key: string, 
/**
 * The second name, where two ways of grouping were asked for.
 */
second: string | null, 
/**
 * How many names stand behind `other`; 0 in a group of its own.
 */
others: number, usage: UsageView, };

export type UsageSummaryView = { 
/**
 * The zone whose days and months these are.
 */
tz: string, today: UsageView, yesterday: UsageView, this_month: UsageView, last_month: UsageView, total: UsageView, 
/**
 * What the last full days, seven at most, had used by this time of day: their median. Null with fewer than two.
 */
usual_today: UsualView | null, 
/**
 * What this month will come to. Null with fewer than two full days.
 */
forecast: ForecastView | null, 
/**
 * Of what models read this month, the share that came from a cache; null when nothing was read.
 */
cache_hit_pct: number | null, };

export type UsualView = { tokens: number, cost_usd: number, };

export type ForecastView = { 
/**
 * From how many full days.
 */
days: number, tokens: ExpectedView, 
/**
 * Null when nothing of this month has a price.
 */
cost_usd: ExpectedView | null, };

export type ExpectedView = { mean: number, low: number, high: number, };

export type PricesView = { 
/**
 * The name of the file; null for the table that the program comes with.
 */
file: string | null, prices: Array<PriceView>, 
/**
 * For models that no price is about; null when it is off.
 */
fallback: RatesView | null, flat_rates: Array<FlatRateView>, 
/**
 * Models used in the last 90 days that nobody knows a price of, most used first, 100 at most.
 */
unpriced_models: Array<UnpricedModelView>, };

export type RatesView = { input: number, output: number, cache_read: number, cache_write: number, };

export type PriceView = { provider: string, model: string, from: string, usd_per_million: RatesView, };

export type FlatRateView = { provider: string, model: string, from: string, 
/**
 * The first day without it.
 */
until: string | null, name: string | null, };

export type UnpricedModelView = { provider: string, model: string, tokens: number, last_used_at: string, };

export type ErrorListView = { items: Array<ErrorRowView>, 
/**
 * Send it as `cursor` for what comes after; absent at the end.
 */
next: string | null, };

export type ErrorRowView = { no: number, device: string, device_name: string, 
/**
 * When it happened; of several alike, when the first did.
 */
at: string, 
/**
 * When the server was told.
 */
received_at: string, level: "warning" | "error" | "exception" | "crash" | "unknown", gateway: string, subsystem: string | null, message: string, 
/**
 * What alike ones of all devices have in common.
 */
fingerprint: string, 
/**
 * How many alike it stands for.
 */
count: number, error_name: string | null, reason: string | null, provider: string | null, model: string | null, agent: string | null, version: string | null, };

export type ErrorRecordView = { error: ErrorRowView, 
/**
 * Where in the program.
 */
stack: string | null, 
/**
 * Of a crash: the last lines of the log before it, oldest first.
 */
context: Array<string>, };

export type ErrorGroupListView = { items: Array<ErrorGroupView>, 
/**
 * Send it as `cursor` for what comes after; absent at the end.
 */
next: string | null, };

export type ErrorGroupView = { fingerprint: string, level: "warning" | "error" | "exception" | "crash" | "unknown", 
/**
 * Of the newest one.
 */
message: string, subsystem: string | null, error_name: string | null, first_seen_at: string, last_seen_at: string, 
/**
 * How many, also of records that are forgotten.
 */
count: number, 
/**
 * On how many devices.
 */
devices: number, 
/**
 * Under which versions of OpenClaw, the last seen first; at most 20.
 */
versions: Array<string>, 
/**
 * How many in each of the last 24 hours, the present one last.
 */
recent: Array<number>, state: "open" | "resolved" | "ignored", 
/**
 * Since when it is in this state; absent when nobody ever decided.
 */
state_at: string | null, 
/**
 * Who decided; absent when it opened again by itself.
 */
state_by: string | null, 
/**
 * When it happened again after it was resolved.
 */
reopened_at: string | null, };

export type ErrorGroupDetailView = { group: ErrorGroupView, 
/**
 * The last seen first; at most 200.
 */
devices: Array<ErrorGroupDeviceView>, 
/**
 * The last seen first; at most 20.
 */
versions: Array<ErrorGroupVersionView>, 
/**
 * The last 48 hours, oldest first.
 */
hours: Array<TrendPointView>, 
/**
 * The last 30 days of UTC, oldest first.
 */
days: Array<TrendPointView>, };

export type ErrorGroupDeviceView = { device: string, name: string, count: number, first_seen_at: string, last_seen_at: string, };

export type ErrorGroupVersionView = { version: string, count: number, devices: number, first_seen_at: string, last_seen_at: string, };

export type TrendPointView = { 
/**
 * Its beginning.
 */
at: string, count: number, };

export type ErrorGroupPatch = { state: "open" | "resolved" | "ignored", };

export type FleetEventListView = { items: Array<FleetEventView>, 
/**
 * Send it as `cursor` for what comes after; absent at the end.
 */
next: string | null, };

export type FleetEventView = { no: number, 
/**
 * Absent for the server itself.
 */
device: string | null, device_name: string | null, at: string, 
/**
 * When the server was told.
 */
received_at: string, kind: string, gateway: string | null, from: string | null, to: string | null, reason: string | null, duration_ms: number | null, count: number | null, action: string | null, status: string | null, };

export type AuditListView = { items: Array<AuditEntryView>, 
/**
 * Send it as `cursor` for what comes after; absent at the end.
 */
next: string | null, };

export type AuditEntryView = { no: number, at: string, actor_kind: "user" | "token" | "cli" | "server", 
/**
 * Empty for a refused login under a name that nobody has: it may be a password in the wrong field.
 */
actor: string, 
/**
 * From where; absent for the command line and the server.
 */
address: string | null, 
/**
 * Such as `device.rename`.
 */
action: string, subject_kind: string | null, subject_id: string | null, 
/**
 * What it was called then.
 */
subject_name: string | null, 
/**
 * What it was, without secrets.
 */
before: unknown, 
/**
 * What it is since, without secrets.
 */
after: unknown, 
/**
 * How many alike this stands for: refused logins.
 */
count: number, 
/**
 * When the last of them was.
 */
last_at: string | null, };

export type EventView = { at: string, kind: string, gateway: string | null, from: string | null, to: string | null, reason: string | null, duration_ms: number | null, count: number | null, action: string | null, status: string | null, };

export type DeviceDetailView = { device: DeviceView, host: HostView | null, report: ReportView | null, };

export type HostView = { hostname: string | null, os: string | null, os_version: string | null, kernel: string | null, arch: string | null, cores: number | null, };

export type ReportView = { at: string, uptime_s: number | null, boot_id: string | null, cpu: CpuView, memory: MemoryView, disk: DiskView, network: NetworkView, temperatures: Array<TemperatureView>, battery: BatteryView | null, top_cpu: Array<ProcessView>, top_memory: Array<ProcessView>, agent: AgentHealthView, 
/**
 * Every gateway of the host.
 */
gateways: Array<GatewayView>, };

export type AgentHealthView = { 
/**
 * Reports that wait for us.
 */
spooled: number | null, 
/**
 * Reports that it had to drop.
 */
dropped: number | null, 
/**
 * Why its spool is in memory only.
 */
spool_problem: string | null, 
/**
 * Share of OpenClaw's history that has been counted; absent once it all is.
 */
backfill_pct: number | null, };

export type GatewayView = { 
/**
 * What it is called on its device.
 */
name: string, state: OpenClawView["state"], failing: Array<string>, problem: string | null, 
/**
 * The version that runs.
 */
version: string | null, 
/**
 * The version on disk.
 */
installed_version: string | null, pid: number | null, started_at: string | null, 
/**
 * Resident memory of its process tree.
 */
rss_bytes: number | null, 
/**
 * Percent of one core.
 */
cpu_pct: number | null, 
/**
 * 99th percentile of its event loop's delay, in milliseconds.
 */
event_loop_p99_ms: number | null, 
/**
 * Starts that it has on record, of about a day.
 */
boots: number | null, crashes: number | null, last_exit: ExitView | null, channels: Array<ChannelView>, agents: number | null, sessions: number | null, 
/**
 * With something said in the last 15 minutes.
 */
sessions_active: number | null, cron: CronView | null, tasks: TasksView | null, workspaces: Array<WorkspaceView>, };

export type ChannelView = { name: string, 
/**
 * Null when only its configuration can be seen.
 */
connected: boolean | null, };

export type CronView = { enabled: number, failing: number, missed: number, 
/**
 * Those that fail or were missed, at most 20.
 */
troubled: Array<CronJobView>, };

export type CronJobView = { id: string, agent: string | null, last_status: string | null, last_run_at: string | null, due_at: string | null, consecutive_errors: number, };

export type TasksView = { active: number, stuck: number, failed_day: number, };

export type WorkspaceView = { agent: string, files: number | null, bytes: number | null, changed_at: string | null, memory_files: number | null, memory_bytes: number | null, committed_at: string | null, };

export type CpuView = { pct: number | null, cores: Array<number>, load1: number | null, load5: number | null, load15: number | null, };

export type MemoryView = { used_bytes: number | null, total_bytes: number | null, available_bytes: number | null, swap_used_bytes: number | null, swap_total_bytes: number | null, };

export type DiskView = { used_bytes: number | null, total_bytes: number | null, volumes: Array<VolumeView>, };

export type VolumeView = { mount: string, fs: string | null, used_bytes: number, total_bytes: number, };

export type NetworkView = { up_bytes_per_s: number | null, down_bytes_per_s: number | null, interfaces: Array<InterfaceView>, };

export type InterfaceView = { name: string, up_bytes_per_s: number | null, down_bytes_per_s: number | null, };

export type TemperatureView = { label: string, celsius: number, };

export type BatteryView = { pct: number, state: string, };

export type ProcessView = { pid: number, name: string, cpu_pct: number | null, memory_bytes: number | null, };

export type NewDevice = { name: string, tags?: Array<string>, };

export type DevicePatch = { name?: string, tags?: Array<string>, 
/**
 * `rev` of the device as it was seen: when it is another now, nothing is changed (`conflict`).
 */
rev?: number, };

export type AddedDeviceView = { 
/**
 * The device's id.
 */
id: string, 
/**
 * What people call it.
 */
name: string, 
/**
 * The key, whole.
 */
key: string, 
/**
 * What the agent checks the server's certificate against; absent when it is vouched for by a public authority.
 */
pin: string | null, 
/**
 * `HOST:PORT` for devices.
 */
server: string, 
/**
 * The line to run on the device.
 */
command: string, 
/**
 * The same for other shells.
 */
commands: CommandsView, };

export type CommandsView = { 
/**
 * For sh, bash and zsh.
 */
unix: string, 
/**
 * For PowerShell.
 */
powershell: string, 
/**
 * As a container, from the image that this project's `Dockerfile` makes.
 */
docker: string, };

export type SeriesView = { min: Array<number | null>, avg: Array<number | null>, max: Array<number | null>, };

export type GapView = { from: string, 
/**
 * Absent while it lasts.
 */
to: string | null, 
/**
 * What it was (as in `/outages`); while that is not known, why the device went; `server_down` for the server's own
 * absence.
 */
reason: string, };

export type OutageListView = { items: Array<OutageView>, 
/**
 * Send it as `cursor` for what comes after; absent at the end.
 */
next: string | null, };

export type OutageView = { no: number, device: string, device_name: string | null, from: string, 
/**
 * Absent while it lasts.
 */
to: string | null, 
/**
 * Until now, while it lasts.
 */
duration_s: number, 
/**
 * What was known when it began.
 */
reason: string | null, 
/**
 * What it was; null while it lasts, and when nothing tells: no event, and nothing that was measured meanwhile.
 */
label: "host_rebooted" | "machine_slept" | "gateway_crashed" | "agent_restarted" | "server_down" | "network_only" | null, 
/**
 * Whether OpenClaw ran all the time; null when nothing was measured meanwhile, or it is not installed.
 */
openclaw_kept_running: boolean | null, };

export type UptimeView = { from: string, to: string, 
/**
 * Of the time that is known; absent when nothing is.
 */
uptime_pct: number | null, online_s: number, offline_s: number, };

export type FleetAtView = { time: string, 
/**
 * How fine the numbers are.
 */
rung: "raw" | "5m" | "1h", 
/**
 * The server was down: this is how things were before.
 */
server_down: boolean, devices: Array<DeviceView>, };

export type AlertListView = { items: Array<AlertView>, 
/**
 * Send it as `cursor` for what comes after; absent at the end.
 */
next: string | null, };

export type AlertView = { no: number, 
/**
 * Absent for the whole fleet, or the server.
 */
device: string | null, device_name: string | null, 
/**
 * The word of the rule that fired it.
 */
rule: string, severity: "critical" | "error" | "warning" | "info", title: SaidView, detail: SaidView | null, fired_at: string, 
/**
 * Absent while it fires.
 */
resolved_at: string | null, 
/**
 * When somebody took note of it.
 */
acknowledged_at: string | null, acknowledged_by: string | null, 
/**
 * The number of the rule, while there is one.
 */
rule_no: number | null, 
/**
 * What of the device it is about, such as a channel of OpenClaw; empty: the device itself.
 */
subject: string, 
/**
 * The devices, when several are one alert.
 */
members: Array<AlertMemberView>, 
/**
 * It comes and goes.
 */
flapping: boolean, 
/**
 * Another alert explains it.
 */
hidden: boolean, 
/**
 * It fires in a silence: nobody is told.
 */
silenced: boolean, };

export type SaidView = { en: string, zh: string, };

export type AlertMemberView = { id: string, name: string, };

export type AlertPatch = { 
/**
 * Somebody knows of it.
 */
acknowledged: boolean, };

export type ScopeView = { 
/**
 * Named, by their ids.
 */
devices: Array<string>, 
/**
 * By tag.
 */
tags: Array<string>, };

export type StepView = { severity: "critical" | "error" | "warning" | "info", 
/**
 * From this level on, in the unit of the rule's kind.
 */
level: number | null, 
/**
 * After so many seconds of firing.
 */
after_s: number | null, };

export type RuleBodyView = { scope: ScopeView, 
/**
 * The values of its kind, by the words of its fields.
 */
values: Record<string, number | string>, 
/**
 * Seconds that it must be so before the alert fires.
 */
for_s: number, severity: "critical" | "error" | "warning" | "info", 
/**
 * When it becomes graver; each graver than the one before.
 */
steps: Array<StepView>, 
/**
 * The ids of the channels that it is told to; `null`: those that take all.
 */
channels: Array<string> | null, 
/**
 * Seconds after which it is told again while it fires and nobody took note; `null`: never.
 */
remind_s: number | null, 
/**
 * Tell when it is over.
 */
tell_resolved: boolean, 
/**
 * Wait for the end of the quiet hours, unless it is graver than those let pass.
 */
quiet: boolean, 
/**
 * Judge also what happened long before it was told.
 */
late: boolean, };

export type RuleView = { no: number, 
/**
 * What is judged, as one of the rule kinds.
 */
kind: string, 
/**
 * It is judged.
 */
enabled: boolean, 
/**
 * Grows with each change; send it back with the next one.
 */
rev: number, body: RuleBodyView, 
/**
 * How many of its alerts fire now.
 */
firing: number, };

export type NewRule = { 
/**
 * One of the rule kinds.
 */
kind: string, 
/**
 * It is judged.
 */
enabled: boolean, body: RuleBodyView, };

export type RulePatch = { 
/**
 * The `rev` that was looked at: refused if somebody has changed it since.
 */
rev: number, enabled?: boolean, body?: RuleBodyView, };

export type RuleKindView = { word: string, name: SaidView, 
/**
 * Its condition as a sentence. `{scope}`, `{for}` and the words of the fields in braces stand for what can be changed.
 */
sentence: SaidView, 
/**
 * Of what it is judged.
 */
of: "device" | "fleet" | "server", 
/**
 * It must be so for a time before it fires.
 */
lasts: boolean, 
/**
 * It has a `level` at which it fires and a `clear` at which it is over; steps may name levels.
 */
levels: boolean, 
/**
 * The stored past tells enough for a dry run.
 */
dry_run: boolean, fields: Array<RuleFieldView>, 
/**
 * What a new rule of this kind is.
 */
default: RuleBodyView, 
/**
 * A new server judges it.
 */
default_on: boolean, };

export type RuleFieldView = { word: string, label: SaidView, 
/**
 * What its number counts, or `word`: one of `choices`.
 */
unit: string, 
/**
 * Values that are offered; of a word all that there are.
 */
choices: Array<RuleChoiceView>, min: number, max: number, 
/**
 * It may be left out.
 */
optional: boolean, };

export type RuleChoiceView = { value: number | string, 
/**
 * What it is called, where it is a word.
 */
label: SaidView | null, };

export type DryRunForm = { 
/**
 * One of the rule kinds.
 */
kind: string, body: RuleBodyView, 
/**
 * The last so many days, up to 30.
 */
days: number, };

export type DryRunView = { from: string, to: string, 
/**
 * Each time that it would have fired, oldest first, at most 1,000.
 */
moments: Array<DryMomentView>, 
/**
 * How often in all.
 */
count: number, 
/**
 * On how many devices.
 */
devices: number, 
/**
 * How long the longest took, in milliseconds.
 */
longest_ms: number | null, 
/**
 * What was measured on the device that it was about most, where there is a level.
 */
series: DrySeriesView | null, 
/**
 * How many devices were judged.
 */
judged_devices: number, };

export type DryMomentView = { 
/**
 * Absent: several devices, the fleet or the server.
 */
device: string | null, device_name: string | null, from: string, 
/**
 * Absent: it would fire still.
 */
to: string | null, severity: "critical" | "error" | "warning" | "info", 
/**
 * What it would have said.
 */
title: SaidView, };

export type DrySeriesView = { device: string, device_name: string, 
/**
 * When.
 */
at: Array<string>, 
/**
 * What; `null` where nothing was measured.
 */
values: Array<number | null>, };

export type AlertChannelView = { id: string, 
/**
 * One of the channel kinds.
 */
kind: string, name: string, 
/**
 * It is told.
 */
enabled: boolean, 
/**
 * Grows with each change; send it back with the next one.
 */
rev: number, made_at: string, 
/**
 * The values of its kind's form that are no secrets. Told to admins only: of viewers it is empty.
 */
settings: Record<string, string | number | boolean>, 
/**
 * The words of the secrets that it has.
 */
secrets: Array<string>, language: "en" | "zh-CN", 
/**
 * It is told only what is as grave as this, or graver.
 */
least: "critical" | "error" | "warning" | "info", 
/**
 * It takes all rules that name no channels.
 */
takes_all: boolean, 
/**
 * It is told in quiet hours, too.
 */
always: boolean, 
/**
 * What it fails of, while it does.
 */
trouble: ChannelTroubleView | null, };

export type ChannelTroubleView = { since: string, 
/**
 * As the other side said it.
 */
why: string, };

export type NewChannel = { 
/**
 * One of the channel kinds.
 */
kind: string, 
/**
 * 1 to 60 characters.
 */
name: string, 
/**
 * It is told.
 */
enabled: boolean, 
/**
 * The values of its kind's form that are no secrets, by their words.
 */
settings: Record<string, string | number | boolean>, 
/**
 * The secrets, by their words. They are not shown again.
 */
secrets: { [key in string]: string }, language: "en" | "zh-CN", least: "critical" | "error" | "warning" | "info", 
/**
 * It takes all rules that name no channels.
 */
takes_all: boolean, 
/**
 * It is told in quiet hours, too.
 */
always: boolean, };

export type ChannelPatch = { 
/**
 * The `rev` that was looked at: refused if somebody has changed it since.
 */
rev: number, name?: string, enabled?: boolean, 
/**
 * All of them.
 */
settings?: Record<string, string | number | boolean>, 
/**
 * Those that are new; empty text takes one away.
 */
secrets?: { [key in string]: string }, language?: "en" | "zh-CN", least?: "critical" | "error" | "warning" | "info", takes_all?: boolean, always?: boolean, };

export type ChannelTest = { 
/**
 * The channel whose secrets stand for those that are not given.
 */
id?: string, 
/**
 * One of the channel kinds.
 */
kind: string, settings: Record<string, string | number | boolean>, secrets: { [key in string]: string }, language: "en" | "zh-CN", };

export type TriedView = { 
/**
 * It arrived.
 */
ok: boolean, 
/**
 * What the other side said, or why it was not reached.
 */
answer: string, took_ms: number, };

export type ChannelKindView = { word: string, name: SaidView, 
/**
 * What one needs for it, and where to get that.
 */
help: SaidView, fields: Array<ChannelFieldView>, };

export type ChannelFieldView = { word: string, label: SaidView, 
/**
 * Where to find what goes in.
 */
help: SaidView | null, 
/**
 * An example.
 */
placeholder: string, kind: "text" | "lines" | "secret" | "url" | "number" | "toggle" | "choice", 
/**
 * Of a choice.
 */
choices: Array<ChannelChoiceView>, 
/**
 * Of a number: the smallest.
 */
min: number | null, 
/**
 * Of a number: the largest.
 */
max: number | null, 
/**
 * It must not be empty.
 */
required: boolean, 
/**
 * What it is without a word.
 */
default: string, };

export type ChannelChoiceView = { word: string, label: SaidView, };

export type PauseWhen = { "type": "once", from: string, to: string, } | { "type": "weekly", 
/**
 * On these days, Monday is 1.
 */
days: Array<number>, 
/**
 * From this time of day on, `HH:MM`.
 */
from: string, 
/**
 * For so long; it may go on into the next day.
 */
minutes: number, 
/**
 * By the clocks of this time zone.
 */
zone: string, };

export type PauseView = { no: number, 
/**
 * `silence`: alerts fire and nobody is told. `maintenance`: they do not fire.
 */
kind: "silence" | "maintenance", scope: ScopeView, 
/**
 * Of these rules only, by number; none: all.
 */
rules: Array<number>, when: PauseWhen, 
/**
 * Why.
 */
note: string, made_by: string, made_at: string, 
/**
 * Grows with each change; send it back with the next one.
 */
rev: number, 
/**
 * Until when it lasts, if it lasts now.
 */
active_until: string | null, };

export type NewPause = { kind: "silence" | "maintenance", scope: ScopeView, rules: Array<number>, when: PauseWhen, note: string, };

export type PausePatch = { 
/**
 * The `rev` that was looked at: refused if somebody has changed it since.
 */
rev: number, scope?: ScopeView, rules?: Array<number>, when?: PauseWhen, note?: string, };

export type AlertingView = { 
/**
 * The time zone of days, quiet hours and digests; empty: UTC.
 */
zone: string, 
/**
 * Address at which people open the page: for links in notifications. Empty: none.
 */
url: string, 
/**
 * Quiet hours; `null`: there are none.
 */
quiet: QuietHoursView | null, 
/**
 * What happened, in one message; `null`: none is sent.
 */
digest: DigestView | null, 
/**
 * Grows with each change: refused if somebody has changed it since.
 */
rev: number, };

export type QuietHoursView = { 
/**
 * From this time of day, `HH:MM` ...
 */
from: string, 
/**
 * ... until this one.
 */
to: string, 
/**
 * What is as grave as this is told all the same.
 */
passes: "critical" | "error" | "warning" | "info", };

export type DigestView = { 
/**
 * Each `day`, or each Monday (`week`).
 */
every: "day" | "week", 
/**
 * At this time of day, `HH:MM`.
 */
at: string, 
/**
 * To these channels, by id.
 */
channels: Array<string>, };

export type DeliveryListView = { items: Array<DeliveryView>, 
/**
 * Send it as `cursor` for what comes after; absent at the end.
 */
next: string | null, };

export type DeliveryView = { no: number, 
/**
 * The same in each attempt: whoever gets it twice knows by it.
 */
id: string, 
/**
 * The channel's id.
 */
channel: string, channel_name: string | null, 
/**
 * The alert's number.
 */
alert: number | null, 
/**
 * Why it is told: `fired`, `worse`, `changed`, `reminder`, `resolved`, `digest` or `test`.
 */
occasion: string, 
/**
 * In one line.
 */
title: SaidView | null, 
/**
 * The device that it is about, as it was called then.
 */
device_name: string | null, state: "waiting" | "held" | "sent" | "failed" | "skipped", 
/**
 * Why it is held, was skipped or was given up, in a word.
 */
why: string | null, made_at: string, 
/**
 * When it is tried (again).
 */
due_at: string, done_at: string | null, 
/**
 * Oldest first; of many the last 50.
 */
attempts: Array<DeliveryAttemptView>, };

export type DeliveryAttemptView = { at: string, took_ms: number, 
/**
 * It arrived.
 */
ok: boolean, 
/**
 * What the other side said, or why it was not reached.
 */
answer: string, };

export type SecurityView = { device: string, device_name: string, 
/**
 * When that was; null when nothing was told yet.
 */
at: string | null, 
/**
 * What OpenClaw's own audits and the agent found.
 */
findings: Array<FindingView>, 
/**
 * Audits of OpenClaw that could not be made.
 */
failed: Array<FailedAuditView>, };

export type FindingView = { 
/**
 * Whose audit found it; null for what the agent saw from outside.
 */
gateway: string | null, 
/**
 * What was looked at; the same on all devices.
 */
check: string, severity: "info" | "warning" | "critical" | "unknown", title: string, detail: string | null, 
/**
 * What to do about it.
 */
remediation: string | null, };

export type FailedAuditView = { gateway: string, error: string, };

export type PersonView = { name: string, role: "admin" | "viewer", 
/**
 * Their login asks for a code.
 */
two_factor: boolean, created_at: string, last_login_at: string | null, };

export type NewPerson = { name: string, 
/**
 * `admin` or `viewer`.
 */
role: "admin" | "viewer", password: string, };

export type PersonPatch = { 
/**
 * `admin` or `viewer`.
 */
role?: "admin" | "viewer", password?: string, };

export type PasswordForm = { 
/**
 * The one until now.
 */
old: string, new: string, };

export type NewTwoFactorView = { 
/**
 * For typing, in base 32.
 */
secret: string, 
/**
 * The same as a link.
 */
otpauth_url: string, 
/**
 * The link as a picture: SVG path data, in squares of size 1.
 */
qr_path: string, 
/**
 * How many squares are in a row.
 */
qr_size: number, };

export type CodeForm = { 
/**
 * Of the app, or a recovery code.
 */
code: string, };

export type RecoveryCodesView = { recovery_codes: Array<string>, };

export type MyAccountView = { name: string, 
/**
 * A login asks for a code.
 */
two_factor: boolean, 
/**
 * How many are left.
 */
recovery_codes: number, };

export type TokenView = { id: string, name: string, role: "admin" | "viewer", created_at: string, 
/**
 * To the minute.
 */
last_used_at: string | null, 
/**
 * From then on it is refused.
 */
expires_at: string | null, };

export type NewToken = { name: string, 
/**
 * `admin` or `viewer`.
 */
role: "admin" | "viewer", 
/**
 * Without it: never.
 */
expires_at?: string, };

export type AddedTokenView = { id: string, token: string, };

export type KeyView = { id: string, 
/**
 * `device`, `reader` or `service`.
 */
kind: "device" | "reader" | "service", name: string, 
/**
 * Whose it is, of kind `device`.
 */
device: string | null, device_name: string | null, 
/**
 * What it may publish, of kind `service`.
 */
publish: Array<string>, 
/**
 * What it may subscribe to. Of a reader: empty for everything.
 */
subscribe: Array<string>, 
/**
 * The devices that a reader is limited to; empty for all.
 */
devices: Array<string>, created_at: string, 
/**
 * From then on it is refused: another has taken its place.
 */
expires_at: string | null, 
/**
 * When somebody last connected with it, to the minute.
 */
last_used_at: string | null, };

export type NewKeyForm = { 
/**
 * `reader` or `service`.
 */
kind: "reader" | "service", name: string, 
/**
 * Of a reader: only these; empty for all.
 */
devices?: Array<string>, 
/**
 * Of a service: topic filters that it may publish to.
 */
publish?: Array<string>, 
/**
 * Of a service: topic filters that it may subscribe to.
 */
subscribe?: Array<string>, };

export type AddedKeyView = { id: string, key: string, 
/**
 * `HOST:PORT` for MQTT clients.
 */
server: string, 
/**
 * What a client checks the server's certificate against; absent when a public authority vouches for it.
 */
pin: string | null, 
/**
 * Lines to try it with, in their order.
 */
commands: Array<CommandView>, };

export type CommandView = { 
/**
 * What it does: `certificate`, `fingerprint`, `subscribe` or `publish`.
 */
label: "certificate" | "fingerprint" | "subscribe" | "publish", line: string, };

export type Rotation = { 
/**
 * Hours that the old key goes on working, up to 168; without it none.
 */
overlap_h?: number, };

export type RetentionView = { kept: Array<KeptView>, 
/**
 * Bytes of the database above which the oldest samples go earlier; 0: no limit. `[retention] max_bytes`.
 */
max_bytes: number, 
/**
 * With less free, nothing is recorded. `[store] min_free_bytes`.
 */
min_free_bytes: number, 
/**
 * Of the file.
 */
database_bytes: number, 
/**
 * Of it, those that hold something: the rest is used again.
 */
used_bytes: number, disk_free_bytes: number | null, 
/**
 * That come in, by the last half hour.
 */
samples_per_day: number, 
/**
 * By which the database grows now.
 */
growth_bytes_per_day: number, 
/**
 * By which it will grow for ever: usage, events, outages.
 */
lasting_bytes_per_day: number, 
/**
 * When as much expires as comes in; absent when it does already.
 */
settles_at: string | null, 
/**
 * How large the database is then.
 */
settled_bytes: number, 
/**
 * When the disk is full; absent when that is not within ten years.
 */
full_at: string | null, };

export type KeptView = { 
/**
 * `samples`, `five_minutes`, `hours` or `errors`.
 */
what: "samples" | "five_minutes" | "hours" | "errors", days: number, 
/**
 * The setting that changes it.
 */
setting: string, };

export type BackupsView = { 
/**
 * Where they are, on the server.
 */
folder: string, 
/**
 * Hours between two; 0: only when somebody asks. `[backup] every_h`.
 */
every_h: number, 
/**
 * So many are kept. `[backup] keep`.
 */
keep: number, 
/**
 * Newest first.
 */
items: Array<BackupView>, 
/**
 * One is being made.
 */
running: boolean, 
/**
 * How the last one went.
 */
last: LastBackupView | null, };

export type BackupView = { file: string, at: string, bytes: number, };

export type LastBackupView = { at: string, 
/**
 * What was wrong; absent when it is whole.
 */
error: string | null, };

export type AttemptView = { 
/**
 * The last time.
 */
at: string, address: string, 
/**
 * `accepted`, `unknown_key`, `revoked_key`, `expired_key`, `tls_failed`, `plain_refused`, `not_mqtt`, `bad_protocol`,
 * `not_allowed`, `limited` or `timed_out`.
 */
outcome: "accepted" | "unknown_key" | "revoked_key" | "expired_key" | "tls_failed" | "plain_refused" | "not_mqtt" | "bad_protocol" | "not_allowed" | "limited" | "timed_out", 
/**
 * The device that the key named, whether or not its secret was right.
 */
device: string | null, device_name: string | null, 
/**
 * More of why, in a word: of a TLS handshake the alert, `certificate_unknown` when the pin does not fit.
 */
detail: string | null, 
/**
 * `tcp`, `websocket` or `http`.
 */
client: "tcp" | "websocket" | "http", 
/**
 * Alike ones within a minute.
 */
count: number, };

export type StatusPageView = { 
/**
 * There is one, for everybody.
 */
enabled: boolean, 
/**
 * Its heading.
 */
title: string, 
/**
 * A text under it.
 */
note: string, 
/**
 * Ids, in the order in which the devices are shown.
 */
devices: Array<string>, 
/**
 * How much of the last 90 days each device was there.
 */
show_uptime: boolean, 
/**
 * Why one is not there.
 */
show_reason: boolean, };

export type StatusView = { title: string, note: string, 
/**
 * Of when this is.
 */
at: string, devices: Array<StatusDeviceView>, };

export type StatusDeviceView = { name: string, state: "online" | "offline" | "gateway_down" | "degraded" | "unknown", 
/**
 * When it came or went.
 */
since: string | null, 
/**
 * Why it is offline, if that is shown.
 */
reason: string | null, 
/**
 * Of the last 90 days, as far as they are known; if that is shown.
 */
uptime_90d_pct: number | null, 
/**
 * The same by day (UTC), oldest first, today last: null where nothing is known.
 */
days: Array<number | null> | null, };

export type TrendsView = { 
/**
 * Where they end.
 */
time: string, devices: Array<TrendView>, };

export type TrendView = { id: string, 
/**
 * The last 24 hours, a letter for each half hour: `.` all well, `w` something failed, `e` a gateway was down or hung,
 * `o` the device was offline, `s` the server was down, `n` nothing is known.
 */
beats: string, 
/**
 * The last hour's network traffic, both ways together, in bytes per second, in steps of two minutes.
 */
traffic: Array<number | null>, 
/**
 * Tokens of the last seven days of the viewer, today the last.
 */
week: Array<number>, };

export type FiringView = { critical: number, error: number, warning: number, info: number, };

export type NewsView = { 
/**
 * Alerts: also what does not change how many fire.
 */
alerts: number, 
/**
 * Rules, channels, silences and maintenance, and the settings of alerting.
 */
alerting: number, 
/**
 * What was told to whom.
 */
deliveries: number, };

export type Frame = { "type": "snapshot", rev: number, server_time: string, 
/**
 * Why nothing can be recorded now.
 */
trouble: "disk_low" | "store_fails" | null, 
/**
 * Whose days the usage is told by: the zone that was asked for, or UTC.
 */
zone: string, 
/**
 * The number of the newest error on record: whoever shows errors asks again when it grows.
 */
newest_error: number, firing: FiringView, news: NewsView, devices: Array<DeviceView>, } | { "type": "devices", rev: number, newest_error: number, devices: Array<DeviceView>, } | { "type": "removed", rev: number, ids: Array<string>, } | { "type": "alive", rev: number, server_time: string, 
/**
 * Why nothing can be recorded now.
 */
trouble: "disk_low" | "store_fails" | null, newest_error: number, firing: FiringView, news: NewsView, };

/** Columns by metric name beside what is said of all of them. */
export type SamplesView = { at: Array<string>, step_s: number, rung: "raw" | "5m" | "1h", n: Array<number>, late: Array<boolean>, openclaw: Array<string | null>, gaps: Array<GapView> } & Record<string, SeriesView | Array<string> | number | string | Array<number> | Array<boolean> | Array<string | null> | Array<GapView>>;

export type ErrorView = { error: { code: string, message: string, fields?: Record<string, string> } };
