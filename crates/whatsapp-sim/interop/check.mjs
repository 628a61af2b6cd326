// Drives a client nobody here wrote (Baileys) through a whole life against a running simulator.
// Usage: node check.mjs [--stay SECONDS] [--socket ws://127.0.0.1:9500/ws/chat] [--control http://127.0.0.1:9501]
// Prints one line a step and ends with 0 only when every step went as it should. See ../README.md.
import { connect, control, devices, expect, finish, newAuth, option, shows, wait } from './client.mjs'

const STAY = Number(option('stay', '5')) * 1000

const [ann, bob] = ['15550007001', '15550007002']
for (const [number, name] of [[ann, 'Ann'], [bob, 'Bob']]) {
  const { status } = await control('/phones', { number, name })
  expect(`phone ${name} is there`, status === 201 || status === 200)
}

// --- by QR -----------------------------------------------------------------------------------------------------
let auth = newAuth()
let one = connect(auth)
const { qr } = await one.until('qr', u => u.qr)
expect('a QR with a false key is refused', (await control(`/phones/${ann}:scan`, {
  qr: qr.split(',').map((f, i) => i === 1 ? Buffer.alloc(32).toString('base64') : f).join(',') })).status, 409)
expect('nonsense is no QR', (await control(`/phones/${ann}:scan`, { qr: 'nonsense' })).status, 400)
const scanned = await control(`/phones/${ann}:scan`, { qr })
expect('the QR is scanned', scanned.status, 200)
expect('the client is told to start anew', await one.closed(), 515)
one = connect(auth)
await one.open()
expect('it logs in', [auth.creds.me.id, auth.creds.me.name], [`${ann}:${scanned.body.id}@s.whatsapp.net`, 'Ann'])
expect('under its hidden id too', /^\d{15}:\d+@lid$/.test(auth.creds.me.lid))
await one.until('pending notifications', u => u.receivedPendingNotifications)
expect('the phone shows it connected', await shows(ann, d => d.length === 1 && d[0].connected))
for (let i = 0; i < 100 && !auth.creds.myAppStateKeyId; i++) await wait(50)
expect('it has the key to the settings', typeof auth.creds.myAppStateKeyId, 'string')
expect('its keys are with the server', await one.sock.query({
  tag: 'iq', attrs: { to: 's.whatsapp.net', type: 'get', xmlns: 'encrypt' }, content: [{ tag: 'count', attrs: {} }]
}).then(r => Number(r.content[0].attrs.value) > 700))
await one.sock.digestKeyBundle()
await one.sock.rotateSignedPreKey()
expect('it finds others', (await one.sock.onWhatsApp(`+${bob}`, '+15550009999')).map(r => r.exists), [true])
expect('it syncs its settings', await one.sock.resyncAppState(['critical_block', 'regular'], false).then(() => true))
await one.sock.updateProfileName('Ann the Second')
const sent = await one.sock.sendMessage(`${bob}@s.whatsapp.net`, { text: 'good morning' })
expect('it sends a text', typeof sent.key.id, 'string')
await wait(STAY)
expect(`it stays for ${STAY / 1000} s`, one.seen.some(u => u.connection === 'close'), false)

// --- coming back, being kicked ---------------------------------------------------------------------------------
const device = scanned.body.id
const kick = kind => control(`/phones/${ann}/devices/${device}:kick`, { kind })
const again = async (kind, codes) => {
  const { status } = await kick(kind)
  expect(`kick ${kind}`, status, 200)
  expect(`${kind}: the connection ends so`, codes.includes(await one.closed()))
  one = connect(auth)
}
await again('close', [428])
await one.open()
expect('after close it is let in', true)
await again('replaced', [440])
await one.open()
expect('after replaced it is let in', true)
await again('unavailable', [503])
expect('unavailable refuses one login', await one.closed(), 503)
one = connect(auth)
await one.open()
expect('and lets the next in', true)
const twin = connect(auth)
await twin.open()
expect('a second login replaces the first', await one.closed(), 440)
one = twin
expect('a kick of no kind is refused', (await kick('gently')).status, 400)

// --- unlinked on the phone -------------------------------------------------------------------------------------
expect('the phone unlinks it', (await control(`/phones/${ann}/devices/${device}:unlink`, {})).status, 200)
expect('the client is logged out', await one.closed(), 401)
one = connect(auth)
expect('its next login is refused', await one.closed(), 401)
expect('the phone shows no device', await devices(ann), [])

// --- by code ---------------------------------------------------------------------------------------------------
auth = newAuth()
one = connect(auth)
await one.until('qr', u => u.qr)
expect('no code is awaited', (await control(`/phones/${ann}:enter-code`, { code: 'ABCD-1234' })).status, 409)
const code = await one.sock.requestPairingCode(ann)
expect('a code is awaited', await (async () => {
  for (let i = 0; i < 100; i++) {
    if ((await control(`/phones/${ann}`)).body.codeAwaited) return true
    await wait(50)
  }
})())
const typed = await control(`/phones/${ann}:enter-code`, { code: `${code.slice(0, 4)}-${code.slice(4)}` })
expect('the code is typed', typed.status, 200)
expect('the client is told to start anew', await one.closed(), 515)
one = connect(auth)
await one.open()
expect('it logs in', auth.creds.me.id, `${ann}:${typed.body.id}@s.whatsapp.net`)
await control(`/phones/${ann}/devices/${typed.body.id}:kick`, { kind: 'outdated' })
await one.closed()
one = connect(auth)
expect('an outdated client is refused', await one.closed(), 405)
await control(`/phones/${ann}/devices/${typed.body.id}:kick`, { kind: 'banned' })
one = connect(auth)
expect('a banned client is refused', await one.closed(), 402)
await control(`/phones/${ann}/devices/${typed.body.id}:unlink`, {})

// --- logging out -----------------------------------------------------------------------------------------------
auth = newAuth()
one = connect(auth)
const third = await one.until('qr', u => u.qr)
expect('bare QRs are read too', (await control(`/phones/${ann}:scan`, { qr: third.qr.split('#')[1] })).status, 200)
await one.closed()
one = connect(auth)
await one.open()
await one.sock.logout()
expect('after log-out the phone shows no device', await shows(ann, d => d.length === 0))

finish()
