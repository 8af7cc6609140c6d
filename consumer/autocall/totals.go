package main

// totalsSchema counts when it is asked: so the totals cannot differ from the rows.
var totalsSchema = []string{
	`DROP VIEW IF EXISTS autocall_campaign_totals`, // neither database has a way to make a view that the other has too
	`CREATE VIEW autocall_campaign_totals AS
	SELECT k.tenant_id, k.campaign_id, c.name, c.state, c.started_at, c.completed_at,
		(SELECT count(*) FROM autocall_leads l WHERE l.tenant_id = k.tenant_id AND l.campaign_id = k.campaign_id) AS leads_known,
		(SELECT count(*) FROM autocall_leads l WHERE l.tenant_id = k.tenant_id AND l.campaign_id = k.campaign_id AND l.completed_at IS NOT NULL) AS leads_completed,
		(SELECT count(*) FROM autocall_attempts a WHERE a.tenant_id = k.tenant_id AND a.campaign_id = k.campaign_id) AS attempts,
		(SELECT count(*) FROM autocall_attempts a WHERE a.tenant_id = k.tenant_id AND a.campaign_id = k.campaign_id AND a.answered_at IS NOT NULL) AS attempts_answered,
		(SELECT CAST(COALESCE(sum(p.times), 0) AS BIGINT) FROM autocall_keys p WHERE p.tenant_id = k.tenant_id AND p.campaign_id = k.campaign_id) AS keys_pressed
	FROM (
		SELECT tenant_id, campaign_id FROM autocall_campaigns
		UNION SELECT tenant_id, campaign_id FROM autocall_leads
		UNION SELECT tenant_id, campaign_id FROM autocall_attempts
		UNION SELECT tenant_id, campaign_id FROM autocall_keys
	) k
	LEFT JOIN autocall_campaigns c ON c.tenant_id = k.tenant_id AND c.campaign_id = k.campaign_id
	WHERE k.campaign_id IS NOT NULL`,
	`DROP VIEW IF EXISTS autocall_campaign_keys`,
	`CREATE VIEW autocall_campaign_keys AS
	SELECT tenant_id, campaign_id, digit, CAST(sum(times) AS BIGINT) AS keys_pressed FROM autocall_keys GROUP BY tenant_id, campaign_id, digit`,
}
