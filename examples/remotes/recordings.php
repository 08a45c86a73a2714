<?php
// Shows what receiver.php has taken: a list with a player for each recording, and one recording by its name (?call=NAME). For those
// who are in the file .users beside the recordings, a line each:
//   php -r 'echo "ann:", password_hash(trim(fgets(STDIN)), PASSWORD_DEFAULT), "\n";' >> .users && chmod 600 .users
// A name from the network is compared and never becomes a path; a name from a call is text and never becomes HTML.
declare(strict_types=1);

const TYPES = ['mp3' => 'audio/mpeg', 'wav' => 'audio/x-wav', 'gsm' => 'audio/x-gsm', 'opus' => 'audio/ogg'];

function stop(int $status, string $why): never
{
    http_response_code($status);
    header('Content-Type: text/plain; charset=utf-8');
    exit("$why\n");
}

/** Whoever shows a name and password of the file; nobody else comes past this. */
function let_in(string $folder): void
{
    $name = $_SERVER['PHP_AUTH_USER'] ?? '';
    $password = $_SERVER['PHP_AUTH_PW'] ?? '';
    $is_login = is_string($name) && is_string($password) && $name !== '';
    // Of a name that is not there another's hash is tried, and never fits: the answer takes as long.
    [$found, $tried] = [false, ''];
    foreach (@file("$folder/.users", FILE_IGNORE_NEW_LINES | FILE_SKIP_EMPTY_LINES) ?: [] as $line) {
        [$user, $hash] = explode(':', $line, 2) + ['', ''];
        if ($tried === '' || ($is_login && !$found && $user === $name)) {
            [$found, $tried] = [$is_login && $user === $name, $hash];
        }
    }
    if ($is_login && password_verify($password, $tried) && $found) {
        return;
    }
    header('WWW-Authenticate: Basic realm="recordings", charset="UTF-8"');
    stop(401, '401 Log in first');
}

/** Every recording here: its file's path, made of its id alone, and what its manifest calls it. The newest first. */
function recordings(string $folder): array
{
    $found = [];
    foreach (scandir($folder) ?: [] as $entry) {
        if (!preg_match('/\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.[0-9]{1,4})?(?=\.json\z)/', $entry, $match)) {
            continue;
        }
        $path = "$folder/$match[0].audio";
        $manifest = json_decode((string) file_get_contents("$folder/$entry"), true);
        if (!is_array($manifest) || is_link($path) || !is_file($path)) {
            continue;
        }
        $part = preg_match('/\.([0-9]+)\z/', $match[0], $number) ? (int) $number[1] : 1;
        $name = $manifest['parts'][$part - 1]['file'] ?? $manifest['file'] ?? '';
        $found[] = ['path' => $path, 'name' => (string) $name, 'manifest' => $manifest];
    }
    $started = fn (array $one): string => (string) ($one['manifest']['started'] ?? '');
    usort($found, fn (array $a, array $b): int => strcmp($started($b), $started($a)));
    return $found;
}

/** Whether a file begins as its name says. */
function fits(string $extension, string $head): bool
{
    return match ($extension) {
        'wav' => str_starts_with($head, 'RIFF') && substr($head, 8, 4) === 'WAVE',
        // an Ogg page, whose first packet is the head of an Opus stream
        'opus' => str_starts_with($head, 'OggS') && substr($head, 28, 8) === 'OpusHead',
        // a tag, or a frame of layer III
        'mp3' => str_starts_with($head, 'ID3') || (strlen($head) > 3 && $head[0] === "\xff" && (ord($head[1]) & 0xe6) === 0xe2),
        // each frame of 33 bytes has its signature in the upper half of its first
        'gsm' => strlen($head) >= 33 && array_filter(str_split($head, 33), fn (string $frame): bool => ord($frame[0]) >> 4 !== 0xd) === [],
        default => false,
    };
}

/** One recording by its name, with or without its folders. */
function send(array $recordings, string $call): never
{
    $called = fn (callable $of): array => array_values(array_filter($recordings, fn (array $one): bool => $of($one['name']) === $call));
    $wanted = $called(fn (string $name): string => $name) ?: $called(basename(...));
    // Two with one last name are told apart by their folders alone.
    $one = count($wanted) === 1 ? $wanted[0] : false;
    $extension = strtolower(pathinfo($call, PATHINFO_EXTENSION));
    $file = $one === false || !isset(TYPES[$extension]) ? false : fopen($one['path'], 'rb');
    $size = $file === false ? 0 : (int) (fstat($file)['size'] ?? 0);
    if ($file === false || $size === 0) {
        stop(404, '404 File not found!');
    }
    if (!fits($extension, (string) fread($file, 4096))) {
        error_log("recordings: {$one['path']} is not what its name says");
        stop(422, '422 It is not what its name says');
    }
    rewind($file);
    $name = preg_replace('/[^0-9A-Za-z+._-]/', '_', basename($one['name']));
    header('Content-Type: ' . TYPES[$extension]);
    header("Content-Length: $size");
    header("Content-Disposition: attachment; filename=\"$name\"");
    header("Content-Description: $extension file");
    fpassthru($file);
    exit;
}

/** Text as text, wherever it stands in the page. */
function text(mixed $value): string
{
    return htmlspecialchars(is_scalar($value) ? (string) $value : '', ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

header('X-Content-Type-Options: nosniff');
header('Cache-Control: private, no-store');
header("Content-Security-Policy: default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
$folder = getenv('RECORDINGS') ?: '/var/lib/recordings';
let_in($folder);
$recordings = recordings($folder);
if (isset($_GET['call'])) {
    send($recordings, is_string($_GET['call']) ? $_GET['call'] : '');
}
header('Content-Type: text/html; charset=utf-8');
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Recordings</title>
<style>body { font-family: sans-serif } td, th { padding: .2em .6em; text-align: left }</style>
<h1>Recordings</h1>
<table>
<tr><th>Started<th>Caller<th>Number<th>File<th>Listen
<?php foreach ($recordings as ['name' => $name, 'manifest' => $manifest]): ?>
<?php $link = '?call=' . rawurlencode($name); ?>
<tr><td><?= text($manifest['started'] ?? '') ?>
<td><?= text($manifest['from_name'] ?? '') ?> &lt;<?= text($manifest['from'] ?? '') ?>&gt;
<td><?= text($manifest['to'] ?? '') ?>
<td><a href="<?= text($link) ?>"><?= text($name) ?></a>
<td><audio controls preload="none" src="<?= text($link) ?>"></audio>
<?php endforeach ?>
</table>
</html>
