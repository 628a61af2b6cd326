-- Links by which a person without a credential links a phone to one session. Of the secrets of a link and of the
-- browser that opened the link there are digests alone.
CREATE TABLE share_links (
    organization text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    title text,
    methods text NOT NULL,
    phone text,
    return_address text,
    return_origin text,
    created_by_kind text NOT NULL,
    created_by_name text,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    opened_at bigint,
    browser bytea,
    attempts bigint NOT NULL,
    ended_at bigint,
    outcome text,
    removed_at bigint NOT NULL,
    PRIMARY KEY (organization, session, id)
);

-- For statements over all organizations. Only these state the condition on attempts, which is always true (ADR 0017).
CREATE UNIQUE INDEX share_links_of_all ON share_links (id) WHERE attempts >= 0;
CREATE UNIQUE INDEX share_links_by_browser ON share_links (browser) WHERE browser IS NOT NULL AND attempts >= 0;
CREATE INDEX share_links_by_removal ON share_links (removed_at) WHERE attempts >= 0;

-- A session has one organization. Without this, PostgreSQL expects a fraction of the rows of a session.
CREATE STATISTICS share_links_owner (dependencies) ON organization, session FROM share_links;

-- The links of a session go with the session, whoever deletes the session: also an older berth.
CREATE FUNCTION delete_share_links() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM share_links USING changed WHERE share_links.organization = changed.organization
        AND share_links.session = changed.id;
    RETURN NULL;
END $$;

CREATE TRIGGER sessions_deleted_links AFTER DELETE ON sessions
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION delete_share_links();

-- Counts links for the quota (migration 0011).
CREATE FUNCTION count_share_links() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO usage AS known (organization, stock, used)
        SELECT organization, 'share_links', sign * count(*) FROM changed GROUP BY organization ORDER BY organization
        ON CONFLICT (organization, stock) DO UPDATE SET used = known.used + excluded.used;
    RETURN NULL;
END $$;

CREATE TRIGGER share_links_inserted AFTER INSERT ON share_links
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_share_links();
CREATE TRIGGER share_links_deleted AFTER DELETE ON share_links
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_share_links();
