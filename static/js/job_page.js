/** The page of a job: progress, and buttons that do not leave the page. */

import "./changing.js";
import "./copying.js";
import "./deleting.js";
import "./following.js";
