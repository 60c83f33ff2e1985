// Alerting for the simulated server: rules, alerts, deliveries, channels and pauses as they might be on a working day.

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const said = (en, zh) => ({ en, zh });
const field = (word, en, zh, unit, choices, min, max) => ({ word, label: said(en, zh), unit, choices: choices.map((one) => (Array.isArray(one) ? { value: one[0], label: said(one[1], one[2]) } : { value: one, label: null })), min, max, optional: false });
const body = (change = {}) => ({ scope: { devices: [], tags: [] }, values: {}, for_s: 0, severity: 'warning', steps: [], channels: null, remind_s: null, tell_resolved: true, quiet: true, late: false, ...change });
const kind = (word, name, sentence, fields, change, more = {}) => ({ word, name: said(...name), sentence: said(...sentence), of: 'device', lasts: sentence[0].includes('{for}'), levels: fields.some((one) => one.word === 'clear'), dry_run: true, fields, default: body(change), default_on: true, ...more });
const percent = [field('level', 'Above', '高于', 'percent', [80, 85, 90, 95], 1, 100), field('clear', 'Clear below', '低于此值恢复', 'percent', [70, 75, 80, 85], 1, 100)];

const KINDS = [
  kind('offline', ['Offline', '设备离线'], ['When one of {scope} is offline for {for} (on weak links wait {weak})', '{scope}离线超过 {for}（网络不稳的设备按{weak}放宽）'], [field('weak', 'Weak links wait', '网络不稳时等待', 'word', [['usual', 'as long as usual for that device', '其平时的断线时长'], ['no', 'not at all', '不']], 0, 0)], { for_s: 30, severity: 'error', values: { weak: 'usual' } }),
  kind('gateway_down', ['Gateway down', '网关停止'], ['When the gateway of {scope} is down for {for} and nobody stopped it', '{scope}的网关停止超过 {for} 且并非人为停止'], [], { for_s: 30, severity: 'critical' }),
  kind('memory', ['Memory', '内存'], ['When the memory of {scope} stays above {level} for {for}', '{scope}的内存高于 {level} 持续 {for}'], percent, { for_s: 600, values: { level: 80, clear: 75 } }),
  kind('disk_full', ['Disk will be full', '磁盘将满'], ['When the disks of {scope} will be full within {level}', '{scope}的磁盘预计 {level} 内写满'], [field('level', 'Within', '预计时间', 'hours', [24, 72, 168], 1, 2000), field('clear', 'Over above', '高于此值恢复', 'hours', [96, 240], 1, 2000)], { values: { level: 72, clear: 96 } }),
  kind('anomaly', ['Unusual spend', '用量异常'], ['When {scope} uses {times} what is usual in an hour, and more than {usd} or {tokens}', '{scope}一小时用量达到平时的 {times}，且高于 {usd}或 {tokens}'], [field('times', 'Times', '倍数', 'times', [2, 3, 5], 1.1, 100), field('usd', 'Dollars', '美元', 'usd', [1, 2, 5], 0, 1e6), field('tokens', 'Tokens', 'token', 'tokens', [500_000, 1_000_000], 0, 1e12)], { values: { times: 3, usd: 2, tokens: 500_000 } }),
  kind('idle_burn', ['Idle burn', '无人消耗'], ['When {scope} uses more than {tokens} while nobody has written for {hours}', '{scope}{hours}无人对话而消耗超过 {tokens}'], [field('tokens', 'Tokens', 'token', 'tokens', [100_000, 500_000], 0, 1e12), field('hours', 'Hours', '小时', 'hours', [3, 6, 12], 1, 168)], { values: { tokens: 500_000, hours: 6 } }),
  kind('claw_channel', ['Channel disconnected', '渠道断开'], ['When a channel of OpenClaw on {scope} is disconnected for {for}', '{scope}的 OpenClaw 任一渠道断开超过 {for}'], [], { for_s: 600 }),
  kind('new_error', ['New error group', '新的错误类别'], ['When {scope} writes an error that no device has written before', '{scope}出现从未见过的错误类别'], [], { severity: 'info', tell_resolved: false }),
  kind('backup_failed', ['Backup failed', '备份失败'], ['When a backup of this server fails', '监控服务备份失败'], [], { severity: 'error' }, { of: 'server', dry_run: false }),
];
const RULES = [
  ['gateway_down', { for_s: 60, severity: 'critical', channels: ['c0ffee000001', 'c0ffee000002'] }, 4],
  ['offline', { for_s: 30, severity: 'error', scope: { devices: [], tags: ['prod'] }, values: { weak: 'usual' } }, 6],
  ['memory', { for_s: 600, values: { level: 90, clear: 85 }, channels: ['c0ffee000001'], steps: [{ severity: 'critical', level: null, after_s: 1800 }] }, 3],
  ['disk_full', { values: { level: 168, clear: 240 } }, 1],
  ['anomaly', { values: { times: 3, usd: 2, tokens: 500_000 } }, 2],
  ['idle_burn', { values: { tokens: 500_000, hours: 6 } }, 3],
  ['claw_channel', { for_s: 600 }, 2],
  ['backup_failed', { severity: 'error' }, 0],
  ['new_error', { severity: 'info', tell_resolved: false }, 11, false],
];
const form = (word, en, zh, kind, more = {}) => ({ word, label: said(en, zh), help: null, placeholder: '', kind, choices: [], min: null, max: null, required: false, default: '', ...more });
const CHANNEL_KINDS = [
  { word: 'telegram', name: said('Telegram', 'Telegram'), help: said('A bot and the chat that it writes to. @BotFather makes the bot.', '需要一个机器人和它所在的会话。机器人由 @BotFather 创建。'), fields: [form('token', 'Bot token', '机器人密钥', 'secret', { required: true, placeholder: '123456:ABC...' }), form('chat', 'Chat', '会话', 'text', { required: true, placeholder: '-1001234567890', help: said('Its id, or @name of a public channel.', '会话 ID，公开频道可用 @名称。') }), form('thread', 'Topic', '话题', 'number', { min: 1, max: 1_000_000 }), form('proxy', 'Proxy', '代理', 'url', { placeholder: 'socks5://10.0.0.2:1080' })] },
  { word: 'email', name: said('E-mail', '邮件'), help: said('An SMTP server that sends for you.', '用于发信的 SMTP 服务器。'), fields: [form('host', 'Server', '服务器', 'text', { required: true, placeholder: 'smtp.example.org' }), form('tls', 'Encryption', '加密', 'choice', { default: 'starttls', choices: [{ word: 'starttls', label: said('STARTTLS', 'STARTTLS') }, { word: 'tls', label: said('TLS', 'TLS') }] }), form('password', 'Password', '密码', 'secret'), form('to', 'To', '收件人', 'lines', { required: true })] },
  { word: 'webhook', name: said('Webhook', 'Webhook'), help: said('Any address that takes JSON.', '任意可接收 JSON 的地址。'), fields: [form('url', 'Address', '地址', 'url', { required: true, placeholder: 'https://hooks.example.org/alerts' }), form('secret', 'Secret', '签名密钥', 'secret', { help: said('Signs each message.', '用于为每条消息签名。') }), form('template', 'Body', '正文模板', 'lines'), form('private', 'May reach private addresses', '允许访问内网地址', 'toggle', { default: 'false' })] },
];

/** Answers what is about alerting; false for everything else. */
export function mockAlerting(state, changed) {
  const now = Date.now();
  const iso = (ago) => new Date(now - ago).toISOString();
  const named = (name) => state.devices.find((device) => device.name === name) ?? state.devices[0];
  const id = (name) => named(name)?.id ?? null;
  let [rules, channels, pauses, settings] = [[], [], [], null];
  rules = RULES.map(([word, change, , enabled = true], i) => ({ no: i + 1, kind: word, enabled, rev: 1, body: body(change), firing: i === 0 || i === 3 ? 1 : 0 }));
  const channel = (no, kind, name, change = {}) => ({ id: `c0ffee00000${no}`, kind, name, enabled: true, rev: 1, made_at: iso(40 * DAY), settings: {}, secrets: [], language: 'en', least: 'info', takes_all: true, always: false, trouble: null, ...change });
  channels = [
    channel(3, 'email', 'E-mail', { settings: { host: 'smtp.example.org', tls: 'starttls', to: 'ops@example.org' }, secrets: ['password'], least: 'warning', language: 'zh-CN' }),
    channel(2, 'webhook', 'Phone', { settings: { url: 'https://hooks.example.org/phone' }, least: 'critical', always: true, takes_all: false }),
    channel(1, 'telegram', 'Telegram · ops', { settings: { chat: '-1001234567890' }, secrets: ['token'] }),
    channel(4, 'webhook', 'Webhook', { settings: { url: 'https://hooks.example.org/alerts' }, trouble: { since: iso(24 * 60_000), why: 'HTTP 503: upstream is being restarted' } }),
  ];
  const pause = (no, kind, change) => ({ no, kind, scope: { devices: [], tags: [] }, rules: [], note: '', made_by: 'admin', made_at: iso(DAY), rev: 1, active_until: null, ...change });
  pauses = [
    pause(1, 'maintenance', { scope: { devices: [], tags: ['home'] }, when: { type: 'weekly', days: [6, 7], from: '03:00', minutes: 120, zone: 'Asia/Shanghai' }, note: 'system updates' }),
    pause(2, 'maintenance', { scope: { devices: [id('fra-hetzner-1')], tags: [] }, when: { type: 'once', from: iso(-30 * HOUR), to: iso(-34 * HOUR) }, note: 'new disks' }),
    pause(3, 'silence', { scope: { devices: [id('pi-greenhouse')], tags: [] }, rules: [4], when: { type: 'once', from: iso(2 * HOUR), to: iso(-6 * HOUR) }, active_until: iso(-6 * HOUR) }),
  ];
  settings = { zone: 'Asia/Shanghai', url: 'https://watch.example.org', quiet: { from: '23:00', to: '08:00', passes: 'critical' }, digest: { every: 'week', at: '09:00', channels: ['c0ffee000003'] }, rev: 1 };
  let no = 100;
  const alert = (severity, device, title, detail, minutes, change = {}) => ({ no: ++no, device: device === null ? null : id(device), device_name: device, rule: 'gateway_down', severity, title: said(...title), detail: detail === null ? null : said(...detail), fired_at: iso(minutes * 60_000), resolved_at: null, acknowledged_at: null, acknowledged_by: null, rule_no: 1, subject: '', members: [], flapping: false, hidden: false, silenced: false, ...change });
  const members = ['fra-hetzner-1', 'fra-hetzner-2', 'fra-hetzner-3', 'ams-ovh-1', 'lon-vultr-1'].map((name) => ({ id: id(name), name }));
  const alerts = [
    alert('critical', 'hk-edge-02', ['Gateway down', '网关停止'], ['Crashed: out of memory (exit 137), 4 restarts failed. 200 log lines kept.', '内存不足崩溃（退出码 137），4 次重启失败，已保留崩溃前 200 行日志。'], 6),
    alert('error', 'tokyo-vps-2', ['Gateway hung', '网关无响应'], ['Port open, no readiness answer. Escalates to Critical in 21 min.', '端口开放但就绪检查无应答，21 分钟后升级为紧急。'], 9, { flapping: true }),
    alert('error', null, ['5 devices lost within 8 s', '8 秒内 5 台设备断线'], ['Network only: OpenClaw is probably still running.', '仅网络中断，OpenClaw 应仍在运行。'], 14, { members, rule_no: 2, rule: 'offline' }),
    alert('warning', 'tokyo-vps-2', ['Spend 3.1× usual for this hour', '本小时费用是平时的 3.1 倍'], ['$2.94, claude-sonnet-4.5, cron daily-digest. About $31 by midnight.', '$2.94，claude-sonnet-4.5，定时任务 daily-digest，预计全天 $31。'], 31, { rule_no: 5, rule: 'anomaly' }),
    alert('warning', 'pi-greenhouse', ['Disk full in 5 days', '磁盘约 5 天后写满'], ['91% used, 1.1 GiB a day.', '已用 91%，每天增长 1.1 GiB。'], 118, { rule_no: 4, rule: 'disk_full', acknowledged_at: iso(50 * 60_000), acknowledged_by: 'lin', silenced: true }),
    alert('error', null, ['4 devices in fra', 'fra 的 4 台设备断线'], null, 262, { resolved_at: iso(259 * 60_000), members: members.slice(0, 4) }),
    alert('info', 'nyc-do-1', ['2026.9.6 installed, restart due', '已安装 2026.9.6，待重启'], null, 300, { resolved_at: iso(280 * 60_000), rule: 'restart' }),
  ];
  const attempt = (ago, took_ms, ok, answer) => ({ at: iso(ago * 1000), took_ms, ok, answer });
  const delivery = (ago, to, device, title, state, change = {}) => ({ no: ++no, id: `d${no}-7f31`, channel: `c0ffee00000${to}`, channel_name: channels.find((one) => one.id.endsWith(to))?.name ?? null, alert: 101, occasion: 'fired', title: title === null ? null : said(...title), device_name: device, state, why: null, made_at: iso(ago * 1000), due_at: iso(ago * 1000), done_at: null, attempts: [], ...change });
  const deliveries = [
    delivery(360, '1', 'hk-edge-02', ['Gateway down', '网关停止'], 'sent', { attempts: [attempt(360, 412, true, '200 OK: message 4711')] }),
    delivery(361, '2', 'hk-edge-02', ['Gateway down', '网关停止'], 'sent', { attempts: [attempt(360, 1103, true, '204 No Content')] }),
    delivery(540, '1', 'tokyo-vps-2', ['Gateway hung', '网关无响应'], 'sent', { attempts: [attempt(539, 502, true, '200 OK: message 4710')] }),
    delivery(1860, '4', 'tokyo-vps-2', ['Spend 3.1× usual', '费用是平时的 3.1 倍'], 'waiting', { due_at: iso(-40_000), attempts: [attempt(1860, 310, false, '503 Service Unavailable: upstream is being restarted'), attempt(900, 295, false, '503 Service Unavailable: upstream is being restarted')] }),
    delivery(15_540, '1', null, ['4 devices in fra', 'fra 的 4 台设备断线'], 'sent', { occasion: 'resolved', attempts: [attempt(15_539, 380, true, '200 OK: edited 4699')] }),
    delivery(16_200, '3', 'ci-runner-claw', ['Restart due', '待重启'], 'held', { why: 'quiet_hours', due_at: iso(-7 * HOUR) }),
    delivery(20_000, '4', 'nyc-do-1', ['Restart due', '待重启'], 'failed', { why: 'settings', attempts: [attempt(20_000, 120, false, '404 Not Found: no such hook')] }),
    delivery(24_000, '3', null, null, 'sent', { occasion: 'digest', alert: null, attempts: [attempt(24_000, 2210, true, '250 2.0.0 Ok: queued')] }),
    delivery(26_000, '1', 'pi-greenhouse', ['Disk full in 5 days', '磁盘约 5 天后写满'], 'skipped', { occasion: 'changed', why: 'newer' }),
  ];

  /** A line like a device's memory, and where it is above the level. */
  function dryRun({ kind: word, body: rule, days }) {
    const [from, to] = [now - days * DAY, now];
    const known = RULES.find(([one]) => one === word)?.[2] ?? 2;
    const level = rule.values.level ?? 90;
    const at = Array.from({ length: 168 }, (_, i) => from + (i * (to - from)) / 168);
    const values = at.map((_, i) => {
      const noise = Math.sin(i * 12.9) * 2.5;
      if (i > 36 && i < 41) return 88 + (i - 36) * 1.6;
      if (i > 92 && i < 97) return 93 + noise;
      if (i > 162) return 86 + (i - 162) * 2.2;
      return i > 60 && i < 64 ? null : 62 + Math.sin((i / 24) * 6.28) * 6 + noise;
    });
    const measured = word === 'memory';
    const spans = [];
    if (measured) {
      for (let i = 0; i < at.length; i++) if ((values[i] ?? 0) > level && !((values[i - 1] ?? 0) > level)) spans.push([at[i], at.find((_, k) => k > i && (values[k] ?? 0) <= level) ?? null]);
    } else for (let i = 0; i < known; i++) spans.push([from + ((i + 0.4) / known) * (to - from), from + ((i + 0.4) / known) * (to - from) + HOUR * (1 + i)]);
    const device = named('ci-runner-claw');
    const moments = spans.map(([start, end]) => ({ device: device?.id ?? null, device_name: device?.name ?? null, from: new Date(start).toISOString(), to: end === null ? null : new Date(end).toISOString(), severity: rule.severity, title: measured ? said('Memory at 93%', '内存占用 93%') : said('It would have fired', '会触发') }));
    return { from: new Date(from).toISOString(), to: new Date(to).toISOString(), moments, count: moments.length, devices: Math.min(2, moments.length), longest_ms: moments.length === 0 ? null : 13_800_000, series: measured ? { device: device.id, device_name: device.name, at: at.map((one) => new Date(one).toISOString()), values } : null, judged_devices: state.devices.length };
  }

  let failing = null;
  const api = {
    alerts,
    /** The next change is refused. */
    refuse: (status, code) => { failing = [status, code]; },
    clear() { rules.length = 0; channels.length = 0; pauses.length = 0; alerts.length = 0; deliveries.length = 0; settings.quiet = null; settings.digest = null; },
    noTakers: () => channels.forEach((one) => { one.takes_all = false; }),
  };
  const change = (list, key, value, patch) => {
    const at = list.findIndex((one) => one[key] === value);
    if (at < 0) return [404, { error: { code: 'not_found', message: 'There is no such thing.' } }];
    if (patch === null) {
      list.splice(at, 1);
      changed('alerting');
      return [204];
    }
    const { rev, secrets, ...rest } = patch;
    if (rev !== list[at].rev) return [409, { error: { code: 'conflict', message: 'Somebody else has changed this meanwhile.' } }];
    list[at] = { ...list[at], ...rest, rev: rev + 1 };
    if (secrets) list[at].secrets = [...new Set([...list[at].secrets, ...Object.keys(secrets)])].filter((word) => secrets[word] !== '');
    changed('alerting');
    return [200, list[at]];
  };
  /** The answer as status and value; null when it is about something else. */
  api.answer = (method, path, query, form) => {
    if (failing && method !== 'GET' && !path.endsWith('dry-run')) {
      const [status, code] = failing;
      failing = null;
      return [status, { error: { code, message: 'refused' } }];
    }
    const made = (list, one) => { list.push(one); changed('alerting'); return [201, one]; };
    if (path === '/rule-kinds') return [200, KINDS];
    if (path === '/channel-kinds') return [200, CHANNEL_KINDS];
    if (path === '/rules/dry-run') {
      const known = KINDS.find((one) => one.word === form.kind);
      return known?.dry_run ? [200, dryRun(form)] : [422, { error: { code: 'not_stored', message: 'not stored' } }];
    }
    if (path === '/rules') return method === 'GET' ? [200, rules] : made(rules, { no: ++no, rev: 1, firing: 0, ...form });
    if (path === '/channels') return method === 'GET' ? [200, channels] : made(channels, { ...channel(9, form.kind, form.name), ...form, id: `new${++no}`, secrets: Object.keys(form.secrets) });
    if (path === '/pauses') return method === 'GET' ? [200, pauses] : made(pauses, { ...pause(++no, form.kind, form) });
    if (path === '/alerting') {
      if (method === 'GET') return [200, settings];
      if (form.rev !== settings.rev) return [409, { error: { code: 'conflict', message: 'conflict' } }];
      settings = { ...form, rev: form.rev + 1 };
      changed('alerting');
      return [200, settings];
    }
    if (path === '/deliveries') {
      const wanted = deliveries.filter((one) => ['channel', 'state', 'occasion'].every((key) => !query.get(key) || query.get(key).split(',').includes(one[key])));
      return [200, { items: wanted.slice(0, Number(query.get('limit') ?? 100)), next: null }];
    }
    if (path === '/alerts') {
      const wanted = alerts.filter((one) => (!query.get('state') || (one.resolved_at === null) === (query.get('state') === 'firing')) && (!query.get('severity') || query.get('severity').split(',').includes(one.severity)) && (!query.get('device') || one.device === query.get('device')));
      return [200, { items: wanted, next: null }];
    }
    if (/^\/channels\/.*test$/.test(path)) {
      const fails = path.includes('c0ffee000004') || form?.settings?.url?.includes('refuses');
      return [200, fails ? { ok: false, answer: 'HTTP 503 Service Unavailable\nupstream is being restarted', took_ms: 310 } : { ok: true, answer: 'HTTP 200 OK\n{"ok":true,"result":{"message_id":4712}}', took_ms: 412 }];
    }
    const one = /^\/(rules|channels|pauses|alerts)\/([^/]+)$/.exec(path);
    if (!one) return null;
    if (one[1] === 'alerts') {
      const at = alerts.find((known) => known.no === Number(one[2]));
      Object.assign(at, { acknowledged_at: form.acknowledged ? new Date().toISOString() : null, acknowledged_by: form.acknowledged ? 'admin' : null });
      changed('alerts');
      return [200, at];
    }
    const patch = method === 'DELETE' ? null : form;
    if (one[1] === 'rules') return change(rules, 'no', Number(one[2]), patch);
    if (one[1] === 'pauses') return change(pauses, 'no', Number(one[2]), patch);
    return change(channels, 'id', one[2], patch);
  };
  api.firing = () => Object.fromEntries(['critical', 'error', 'warning', 'info'].map((severity) => [severity, alerts.filter((one) => one.severity === severity && one.resolved_at === null).length]));
  return api;
}
