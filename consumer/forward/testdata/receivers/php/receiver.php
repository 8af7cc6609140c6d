<?php
// A receiver in the shape of Zorio's sample for PHP, behind PHP's own server.

function answer(int $status, string $text): never
{
    http_response_code($status);
    header('Content-Type: text/plain');
    exit($text);
}

$body = file_get_contents('php://input');
$sent = (int) ($_SERVER['HTTP_X_ZORIO_TIMESTAMP'] ?? 0);
if ($sent === 0 || abs(time() - $sent) > 300) {
    answer(400, 'Stale timestamp');
}
$expected = 'sha256=' . hash_hmac('sha256', $body, getenv('ZORIO_WEBHOOK_SECRET'));
if (!hash_equals($expected, $_SERVER['HTTP_X_ZORIO_SIGNATURE'] ?? '')) {
    answer(401, 'Invalid signature');
}
$delivery = $_SERVER['HTTP_X_ZORIO_DELIVERY'] ?? '';
$url = parse_url(getenv('REDIS_URL'));
$redis = new Redis();
$redis->connect($url['host'], $url['port']);
$redis->select((int) ltrim($url['path'] ?? '/0', '/'));
if (!$redis->set('zorio:delivery:' . $delivery, '1', ['nx', 'ex' => 86400])) {
    answer(200, 'Duplicate');
}
$event = json_decode($body, true)['event'];
if ($event !== $_SERVER['HTTP_X_ZORIO_EVENT']) {
    answer(422, 'Another event');
}
error_log("took $delivery $event");
answer(200, 'OK');
