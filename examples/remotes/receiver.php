<?php
// Takes recordings from `rec push` (see php.toml): checks who sends, keeps each recording once under its id, answers with a signed
// receipt. No value from the network becomes a path, a shell word or HTML; nothing is kept where the web server shows it.
declare(strict_types=1);

$folder = getenv('RECORDINGS') ?: '/var/lib/recordings';   // owned by PHP's user, mode 0700, outside of the web root
$token = trim((string) file_get_contents("$folder/.token"));
$key = trim((string) file_get_contents("$folder/.sign"));

function stop(int $status, string $why): never
{
    http_response_code($status);
    header('Content-Type: text/plain; charset=utf-8');
    exit("$why\n");
}

function head(string $name): string
{
    return (string) ($_SERVER['HTTP_' . strtoupper(strtr($name, '-', '_'))] ?? '');
}

/** Brings a file to the disk: a receipt is only for what outlives a power failure. */
function keep(string $path): bool
{
    $file = fopen($path, 'r+b');
    return $file !== false && fsync($file) && fclose($file);
}

/** Brings the names in a folder to the disk. Where PHP cannot (it is no Linux), the system does so by itself within seconds. */
function keepNames(string $folder): void
{
    $names = @fopen($folder, 'rb');
    if ($names !== false) {
        @fsync($names);
        fclose($names);
    }
}

header('X-Content-Type-Options: nosniff');
header('Cache-Control: no-store');
if ($token === '' || $key === '') {
    stop(500, 'the secrets are not there');
}
if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    stop(405, 'POST a recording');
}
if (!hash_equals("Bearer $token", head('Authorization'))) {
    stop(401, 'who are you?');
}

// Some PHP put the parts without a file name into $_POST, those with one into $_FILES.
$manifest = (string) ($_POST['manifest'] ?? '');
$recording = $_FILES['recording'] ?? null;
if ($manifest === '' || $recording === null || $recording['error'] !== UPLOAD_ERR_OK) {
    stop(400, 'manifest or recording is missing, or larger than upload_max_filesize and post_max_size allow');
}

// Standard Webhooks: HMAC-SHA256 over id.timestamp.manifest; not older than five minutes.
$id = head('webhook-id');
$time = head('webhook-timestamp');
$signed = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$time.$manifest", $key, true));
if (!ctype_digit($time) || abs(time() - (int) $time) > 300 || !hash_equals($signed, head('webhook-signature'))) {
    stop(401, 'the signature is wrong');
}
if ($id !== head('idempotency-key') || !preg_match('/\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.[0-9]{1,4})?\z/', $id)) {
    stop(400, 'the id is none');
}

$sha256 = (string) hash_file('sha256', $recording['tmp_name']);
$size = (int) filesize($recording['tmp_name']);
if (!hash_equals(head('x-recording-sha256'), $sha256)) {
    stop(400, 'the recording was damaged on its way');
}

// One file for each id. Written aside and linked into place, which fails where the name is taken: two at once make one.
$target = "$folder/$id.audio";
if (!is_file($target)) {
    $aside = (string) tempnam($folder, '.part');
    if (!copy($recording['tmp_name'], $aside) || !chmod($aside, 0600)) {
        @unlink($aside);
        stop(507, 'no room');
    }
    if (file_put_contents("$aside.json", $manifest) !== strlen($manifest) || !keep($aside) || !keep("$aside.json")) {
        @unlink($aside);
        @unlink("$aside.json");
        stop(507, 'no room');
    }
    rename("$aside.json", "$folder/$id.json");
    @link($aside, $target);
    unlink($aside);
    clearstatcache();
    if (!is_file($target)) {
        stop(507, 'it cannot be kept here');
    }
}
if (!hash_equals((string) hash_file('sha256', $target), $sha256)) {
    stop(409, 'another recording has this id');
}
// Also what an earlier request left, which may have died before this.
if (!keep($target)) {
    stop(507, 'it cannot be kept here');
}
keepNames($folder);

$at = gmdate('Y-m-d\TH:i:s\Z', (int) filemtime($target));
$receipt = ['id' => $id, 'sha256' => $sha256, 'size' => $size, 'received_at' => $at];
$receipt['signature'] = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$at.$sha256.$size", $key, true));
header('Content-Type: application/json');
echo json_encode($receipt, JSON_UNESCAPED_SLASHES), "\n";
