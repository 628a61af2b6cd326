-- Links by which a person without a credential links a phone to one session. Of the secrets of a link and of the
-- browser that opened the link there are digests alone.
CREATE TABLE share_links (
    organization text NOT NULL,
    session text NOT NULL,
    id text NOT NULL,
    digest blob NOT NULL,
    title text,
    methods text NOT NULL,
    phone text,
    return_address text,
    return_origin text,
    created_by_kind text NOT NULL,
    created_by_name text,
    created_at integer NOT NULL,
    expires_at integer NOT NULL,
    opened_at integer,
    browser blob,
    attempts integer NOT NULL,
    ended_at integer,
    outcome text,
    removed_at integer NOT NULL,
    PRIMARY KEY (organization, session, id)
) STRICT, WITHOUT ROWID;

-- For statements over all organizations. Only these state the condition on attempts, which is always true (ADR 0017).
CREATE UNIQUE INDEX share_links_of_all ON share_links (id) WHERE attempts >= 0;
CREATE UNIQUE INDEX share_links_by_browser ON share_links (browser) WHERE browser IS NOT NULL AND attempts >= 0;
CREATE INDEX share_links_by_removal ON share_links (removed_at) WHERE attempts >= 0;

-- The links of a session go with the session, whoever deletes the session: also an older berth.
CREATE TRIGGER sessions_deleted_links AFTER DELETE ON sessions BEGIN
    DELETE FROM share_links WHERE organization = old.organization AND session = old.id;
END;

-- Counts links for the quota (migration 0011).
CREATE TRIGGER share_links_inserted AFTER INSERT ON share_links BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (new.organization, 'share_links', 1)
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

CREATE TRIGGER share_links_deleted AFTER DELETE ON share_links BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (old.organization, 'share_links', -1)
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;
